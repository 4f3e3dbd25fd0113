"""The subcommands of `stickgen`; modules are imported only when their command is called."""
