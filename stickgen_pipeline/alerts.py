"""Failures are seen: a failed run or check goes to the log, and, where the configuration names one, to a webhook or a mailbox."""

import json
import logging
import os
import smtplib
import urllib.error
import urllib.request
from email.message import EmailMessage
from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    from stickgen_core.settings import AlertConfig, Settings

LOG = logging.getLogger("stickgen.alerts")
MOST_EVENTS = 200
TIMEOUT_S = 20.0


def deliver(config: "AlertConfig", subject: str, text: str) -> list[str]:
    """Tell everybody who asked to be told; says what could not be told, never raises: an alert must not hide the failure itself."""
    LOG.error("%s: %s", subject, text)
    problems = []
    address = os.environ.get(config.webhook_variable, "") if config.webhook_variable else ""
    if config.webhook_variable and not address:
        problems.append(f"{config.webhook_variable} is not set")
    if address:
        problems += _post(address, subject, text)
    if config.smtp_host:
        problems += _mail(config, subject, text)
    for problem in problems:
        LOG.error("the alert was not delivered: %s", problem)
    return problems


def _post(address: str, subject: str, text: str) -> list[str]:
    body = json.dumps({"subject": subject, "text": f"{subject}\n{text}"}).encode()
    try:
        request = urllib.request.Request(address, data=body, headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            return [] if answer.status < 300 else [f"the webhook answered {answer.status}"]
    except (OSError, urllib.error.URLError, ValueError) as error:
        # The address may hold a secret: only what went wrong is written.
        return [f"the webhook could not be reached ({type(error).__name__})"]


def _mail(config: "AlertConfig", subject: str, text: str) -> list[str]:
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = f"[stickgen] {subject}", config.mail_from, ", ".join(config.mail_to)
    message.set_content(text)
    try:
        with smtplib.SMTP(config.smtp_host, config.smtp_port, timeout=TIMEOUT_S) as server:
            server.send_message(message)
    except (OSError, smtplib.SMTPException) as error:
        return [f"{config.smtp_host}:{config.smtp_port} did not take the mail ({error})"]
    return []


def failure_sensor(settings: "Settings") -> dg.SensorDefinition:
    """Every failed run."""
    config = settings.config.pipeline.alerts

    @dg.run_failure_sensor(
        name="tell_of_failed_runs",
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=settings.config.pipeline.alert_interval_s,
        description="A failed run goes to the log, and to the webhook or mailbox of pipeline.alerts.",
    )
    def tell_of_failed_runs(context: dg.RunFailureSensorContext) -> None:
        run = context.dagster_run
        deliver(config, f"run {run.run_id[:8]} of {run.job_name} failed", str(context.failure_event.message or "no message"))

    return tell_of_failed_runs


def check_sensor(settings: "Settings") -> dg.SensorDefinition:
    """Every failed check, warnings too; each is told once."""
    pipeline = settings.config.pipeline

    @dg.sensor(
        name="tell_of_failed_checks",
        minimum_interval_seconds=pipeline.alert_interval_s,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="A failed check goes to the log, and to the webhook or mailbox of pipeline.alerts.",
    )
    def tell_of_failed_checks(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        after = int(context.cursor) if context.cursor else None
        records = context.instance.event_log_storage.get_event_records(
            dg.EventRecordsFilter(dg.DagsterEventType.ASSET_CHECK_EVALUATION, after_cursor=after), limit=MOST_EVENTS, ascending=True
        )
        if not records:
            return dg.SkipReason("no check was made since")
        found = [record.event_log_entry.dagster_event for record in records]
        evaluations = [event.asset_check_evaluation_data for event in found if event is not None]
        failed = [evaluation for evaluation in evaluations if not evaluation.passed]
        context.update_cursor(str(records[-1].storage_id))
        if not failed:
            return dg.SkipReason(f"{len(records)} checks were made, none failed")
        lines = [
            f"{e.asset_key.to_user_string()} {e.check_name} ({e.severity.value.lower()}): {e.description or ''}".strip() for e in failed
        ]
        stopping = sum(e.severity == dg.AssetCheckSeverity.ERROR for e in failed)
        deliver(pipeline.alerts, f"{len(failed)} checks failed, {stopping} of them stop what is downstream", "\n".join(lines))
        return dg.SkipReason(f"{len(failed)} failed checks were told of")

    return tell_of_failed_checks
