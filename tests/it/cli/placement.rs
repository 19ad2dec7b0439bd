//! Positions of settings on the command line, and the help heading of each flag.

use anb::cli::Cli;
use clap::{Command, CommandFactory as _};

use super::Shell;

#[test]
fn settings_are_accepted_before_and_after_a_subcommand() {
    let shell = Shell::open();
    let url = "--database-url=postgres://127.0.0.1:1/anb";
    for words in [
        &["queue", "stats"][..],
        &["queue", "redrive"],
        &["admin", "grant", "organiser", "ana@example.com"],
        &["admin", "reset-password", "ana@example.com"],
        &["migrate", "revert"],
    ] {
        let (command, rest) = words.split_first().unwrap();
        for arguments in [
            [&[*command, url][..], rest].concat(),
            [&[*command][..], rest, &[url]].concat(),
        ] {
            // The variable differs, which shows that the flag wins in either position.
            let other = [("DATABASE_URL", "postgres://127.0.0.1:2/anb")];
            let ran = shell.run(&other, &arguments);
            let refusal = ran.refusal();
            assert!(
                refusal.contains("127.0.0.1:1/anb"),
                "{arguments:?}: {ran:?}"
            );
        }
    }
}

#[test]
fn subcommand_help_lists_the_settings_of_its_command() {
    let shell = Shell::open();
    for arguments in [
        &["queue", "stats", "--help"][..],
        &["queue", "peek", "--help"],
        &["admin", "grant", "--help"],
        &["migrate", "revert", "--help"],
    ] {
        let help = shell.run(&[], arguments).stdout;
        assert!(help.contains("\nDatabase:\n"), "{help}");
        assert!(help.contains("[env: DATABASE_URL]"), "{help}");
        assert!(!arguments.contains(&"queue") || help.contains("[env: REDIS_URL]"));
    }
}

#[test]
fn only_settings_are_listed_under_a_settings_heading() {
    let mut cli = Cli::command();
    cli.build();
    assert_headings(&cli);
}

fn assert_headings(command: &Command) {
    let name = command.get_name();
    for arg in command.get_arguments().filter(|arg| !arg.is_positional()) {
        let heading = arg.get_help_heading();
        // Help lists `--metrics-addr` and the data folder first, with the plain flags.
        let is_fine = match (arg.get_env(), heading) {
            (None, Some(heading)) => heading == "Repair",
            (None, None) | (Some(_), Some(_)) => true,
            (Some(variable), None) => variable == "METRICS_ADDR" || variable == "ANB_DATA_DIR",
        };
        assert!(is_fine, "{name}: --{:?} under {heading:?}", arg.get_long());
    }
    for inner in command
        .get_subcommands()
        .filter(|inner| !inner.is_hide_set())
    {
        assert_headings(inner);
    }
}
