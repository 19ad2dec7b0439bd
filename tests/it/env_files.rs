//! The settings files in `config/` are complete, match the command line and can be loaded. The
//! container files set only known variables.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anb::cli::Cli;
use clap::{Arg, CommandFactory as _};

/// Public default secrets that the help text hides.
const HIDDEN_DEFAULTS: [&str; 1] = ["JWT_SECRET"];

#[test]
fn local_file_lists_every_setting_once() {
    let file = SettingsFile::read("local.env");
    let listed: BTreeSet<_> = file.all().map(|(name, _)| name).collect();
    assert_eq!(file.all().count(), listed.len(), "a setting is repeated");
    let known = known_settings(&["serve", "work", "dev", "migrate"]);
    let known: BTreeSet<_> = known.keys().map(String::as_str).collect();
    assert_eq!(listed, known);
}

#[test]
fn local_file_shows_the_defaults() {
    let file = SettingsFile::read("local.env");
    let known = known_settings(&["serve", "work", "dev", "migrate"]);
    for (name, value) in file.all() {
        let defaults: Vec<_> = known[name]
            .iter()
            .flat_map(|(_, arg)| default(arg))
            .collect();
        if HIDDEN_DEFAULTS.contains(&name) || defaults.is_empty() {
            // An example value must be commented out.
            assert!(file.unset.iter().any(|(unset, _)| unset == name), "{name}");
        } else {
            assert!(
                defaults.iter().any(|default| default == value),
                "{name}={value}: {defaults:?}"
            );
        }
    }
}

#[test]
fn files_contain_only_known_settings_with_valid_values() {
    let known = known_settings(&["serve", "work", "dev", "migrate"]);
    for path in files() {
        let file = SettingsFile::read(&path);
        for (name, value) in file.all() {
            let Some(roles) = known.get(name) else {
                panic!("{}: {name} is not a setting", path.display());
            };
            for (role, arg) in roles {
                let flag = format!("--{}={value}", arg.get_long().unwrap());
                let words = ["anb", role, &flag];
                let parsed = Cli::command().try_get_matches_from(words);
                assert!(parsed.is_ok(), "{}: {name}: {parsed:?}", path.display());
            }
        }
    }
}

#[test]
fn both_roles_load_each_file() {
    // Contradictions that are detected only after the whole file has been read.
    let contradictions = [
        (
            "serve",
            ("ENVIRONMENT", "production"),
            "JWT_SECRET is not set",
        ),
        ("work", ("JOB_LEASE", "2h"), "JOB_VISIBILITY=60s is shorter"),
    ];
    for path in files() {
        for (role, (name, value), reason) in contradictions {
            #[expect(
                clippy::disallowed_methods,
                reason = "the program is tested from outside"
            )]
            let mut anb = Command::new(env!("CARGO_BIN_EXE_anb"));
            anb.args([role, "--env-file"]).arg(&path).env_clear();
            let ran = anb.env(name, value).output().unwrap();
            let stderr = String::from_utf8(ran.stderr).unwrap();
            assert_eq!(ran.status.code(), Some(1), "{stderr}");
            assert!(stderr.contains(reason), "{}: {stderr}", path.display());
        }
    }
}

#[test]
fn containers_set_known_settings_and_allow_time_to_stop() {
    let known = known_settings(&["serve", "work", "migrate"]);
    let compose = root_file("compose.yaml");
    let (_, rest) = compose.split_once("\nx-anb:").unwrap();
    let (ours, _) = rest.split_once("\n\n").unwrap();
    let set: Vec<_> = ours.lines().filter_map(setting_of(": ")).collect();
    assert!(set.contains(&"JWT_SECRET"), "{set:?}");
    let dockerfile = root_file("Dockerfile");
    let (_, rest) = dockerfile.split_once("\nENV ").unwrap();
    let built_in: Vec<_> = rest.lines().map_while(setting_of("=")).collect();
    assert!(built_in.contains(&"SCRATCH_PATH"), "{built_in:?}");
    for name in [set, built_in].concat() {
        assert!(known.contains_key(name), "{name} is not a setting");
    }

    let (_, rest) = ours.split_once("\n  stop_grace_period: ").unwrap();
    let period = humantime::parse_duration(rest.lines().next().unwrap()).unwrap();
    let (_, grace) = &known["SHUTDOWN_GRACE"][0];
    let grace = humantime::parse_duration(&default(grace)[0]).unwrap();
    assert!(period > grace, "{period:?} {grace:?}");
}

/// Returns a function that extracts the name of the setting from a line.
fn setting_of(separator: &str) -> impl Fn(&str) -> Option<&str> {
    move |line| {
        let (name, _) = line.trim_start().split_once(separator)?;
        let is_name = name.chars().all(|c| c.is_ascii_uppercase() || c == '_');
        is_name.then_some(name)
    }
}

/// The settings that a file sets, and those that it only mentions as `# NAME=value`.
struct SettingsFile {
    set: Vec<(String, String)>,
    unset: Vec<(String, String)>,
}

impl SettingsFile {
    fn read(name: impl AsRef<Path>) -> Self {
        let text = fs::read_to_string(folder().join(name)).unwrap();
        let set = dotenvy::from_read_iter(text.as_bytes()).map(Result::unwrap);
        let unset = text.lines().filter_map(|line| {
            let (name, value) = line.strip_prefix("# ")?.split_once('=')?;
            let is_name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
            name.chars()
                .all(is_name)
                .then(|| (name.to_owned(), value.to_owned()))
        });
        Self {
            set: set.collect(),
            unset: unset.collect(),
        }
    }

    fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        let lines = self.set.iter().chain(&self.unset);
        lines.map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

fn root_file(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(root.join(name)).unwrap()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config")
}

fn files() -> Vec<PathBuf> {
    let entries = fs::read_dir(folder()).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let files: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|end| end == "env"))
        // For another command: see `contests`.
        .filter(|path| !path.ends_with("contest.env"))
        .collect();
    assert!(files.len() >= 2, "{files:?}");
    files
}

/// Returns every variable with the commands that read it.
fn known_settings(roles: &[&'static str]) -> BTreeMap<String, Vec<(&'static str, Arg)>> {
    let command = Cli::command();
    let mut known: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for role in roles {
        let own = command.find_subcommand(role).unwrap().get_arguments();
        for arg in own.chain(command.get_arguments()) {
            if let Some(name) = arg.get_env() {
                let name = name.to_str().unwrap().to_owned();
                known.entry(name).or_default().push((*role, arg.clone()));
            }
        }
    }
    known
}

fn default(arg: &Arg) -> Vec<String> {
    let values = arg.get_default_values().iter();
    values
        .map(|value| value.to_str().unwrap().to_owned())
        .collect()
}
