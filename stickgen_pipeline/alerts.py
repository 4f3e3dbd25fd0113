"""Failures are seen: a failed run or check goes to the log, and, where the configuration names one, to a webhook or a mailbox."""

import json
import logging
import os
import smtplib
import urllib.request
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import TYPE_CHECKING, Any

import dagster as dg

if TYPE_CHECKING:
    from stickgen_core.settings import AlertConfig, Settings

LOG = logging.getLogger("stickgen.alerts")
# Runs that one look takes, and that are remembered as told; a run may be touched again after its end.
MOST_RUNS = 100
ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
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
    except Exception as error:
        # The address may hold a secret, and so may what the libraries say of it: only what kind of thing went wrong is written.
        return [f"the webhook could not be reached ({type(error).__name__})"]


def _mail(config: "AlertConfig", subject: str, text: str) -> list[str]:
    try:
        message = EmailMessage()
        message["Subject"], message["From"], message["To"] = f"[stickgen] {subject}", config.mail_from, ", ".join(config.mail_to)
        message.set_content(text)
        with smtplib.SMTP(config.smtp_host, config.smtp_port, timeout=TIMEOUT_S) as server:
            server.send_message(message)
    except Exception as error:
        return [f"the mail was not sent through {config.smtp_host}:{config.smtp_port} ({type(error).__name__}: {error})"]
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
        cursor: dict[str, Any] = json.loads(context.cursor) if context.cursor else {"after": 0.0, "told": []}
        after = datetime.fromtimestamp(cursor["after"], UTC)
        # By runs: the SQLite event log is a file a run and has no order over all of them.
        records = context.instance.get_run_records(
            filters=dg.RunsFilter(statuses=ENDED, updated_after=after), limit=MOST_RUNS, order_by="update_timestamp", ascending=True
        )
        fresh = [record for record in records if record.dagster_run.run_id not in cursor["told"]]
        failed = [found for record in fresh for found in _failed_checks(context.instance, record.dagster_run.run_id)]
        latest = max((record.update_timestamp.timestamp() for record in records), default=cursor["after"])
        told = [*cursor["told"], *(record.dagster_run.run_id for record in fresh)][-MOST_RUNS:]
        context.update_cursor(json.dumps({"after": latest, "told": told}))
        if not failed:
            return dg.SkipReason(f"{len(fresh)} runs ended since, no check failed")
        lines = [
            f"{e.asset_key.to_user_string()} {e.check_name} ({e.severity.value.lower()}): {e.description or ''}".strip() for e in failed
        ]
        stopping = sum(e.severity == dg.AssetCheckSeverity.ERROR for e in failed)
        deliver(pipeline.alerts, f"{len(failed)} checks failed, {stopping} of them stop what is downstream", "\n".join(lines))
        return dg.SkipReason(f"{len(failed)} failed checks were told of")

    return tell_of_failed_checks


def _failed_checks(instance: dg.DagsterInstance, run_id: str) -> list[dg.AssetCheckEvaluation]:
    events = [entry.dagster_event for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)]
    found = [event.asset_check_evaluation_data for event in events if event is not None]
    return [evaluation for evaluation in found if not evaluation.passed]
