//! The Postman collection in `docs/postman`, made from the document and from [`journey`]: every
//! operation at least once, in an order that works, each response asserted. `make postman` writes it.

mod journey;

use std::{collections::BTreeSet, fmt::Write as _, fs, path::PathBuf};

use anb::auth::Role;
use serde_json::{Value, json};
use tokio::process::Command;

use self::journey::{Step, VIDEO, journey};
use super::document::{DOCUMENT, Members};
use crate::support::{PASSWORD, TestApp, film};

const COLLECTION: &str = "docs/postman/anb.postman_collection.json";
const ENVIRONMENT: &str = "docs/postman/anb.postman_environment.json";

fn collection() -> Value {
    let items: Vec<_> = journey().iter().map(item).collect();
    let variables = [
        "player",
        "fan",
        "player_token",
        "fan_token",
        "organiser_token",
        "video_id",
        "upload_id",
        "key",
        "signature",
    ];
    let mut variables: Vec<_> = variables
        .iter()
        .map(|name| json!({"key": name, "value": ""}))
        .collect();
    variables.push(json!({"key": "password", "value": "triple-doble-2026"}));
    json!({
        "info": {
            "name": DOCUMENT.root["info"]["title"],
            "description": format!(
                "The whole journey, from sign-up to deletion. Made from the contract, version {}. \
                 Run it in this order; `base_url` names the server. It uploads `{VIDEO}` from the \
                 working directory. The requests of an organiser are skipped unless \
                 `organiser_email` and `organiser_password` name one.",
                DOCUMENT.root["info"]["version"].as_str().unwrap(),
            ),
            "schema": "https://schema.getpostman.com/json/collection/v2.1.0/collection.json",
        },
        "item": items,
        "variable": variables,
    })
}

fn environment() -> Value {
    json!({
        "name": "ANB Rising Stars",
        "values": [
            {"key": "base_url", "value": "http://localhost:8080", "enabled": true},
            {"key": "deploy_url", "value": "https://anb.example", "enabled": true},
            {"key": "organiser_email", "value": "", "enabled": true},
            {"key": "organiser_password", "value": "", "enabled": true},
        ],
    })
}

fn item(step: &Step) -> Value {
    let operations = DOCUMENT.operations();
    let operation = operations
        .iter()
        .find(|operation| operation.id == step.operation);
    let operation = operation.unwrap();
    let mut path = operation.path.to_owned();
    for (parameter, value) in &step.path {
        path = path.replace(&format!("{{{parameter}}}"), value);
    }
    let mut url = json!({
        "raw": format!("{{{{base_url}}}}{path}"),
        "host": ["{{base_url}}"],
        "path": path.trim_start_matches('/').split('/').collect::<Vec<_>>(),
    });
    if !step.query.is_empty() {
        url["raw"] = format!("{{{{base_url}}}}{path}?{}", step.query).into();
        let pairs = step
            .query
            .split('&')
            .map(|pair| match pair.split_once('=') {
                Some((key, value)) => json!({"key": key, "value": value}),
                None => json!({"key": pair, "value": null}),
            });
        url["query"] = pairs.collect();
    }
    let headers = step
        .headers
        .iter()
        .map(|(name, value)| json!({"key": name, "value": value}));
    let mut request = json!({
        "method": operation.method.as_str(),
        "header": headers.collect::<Vec<_>>(),
        "url": url,
        "description": operation.value["summary"],
        "auth": match step.token {
            None => json!({"type": "noauth"}),
            Some(token) => json!({
                "type": "bearer",
                "bearer": [{"key": "token", "value": format!("{{{{{token}}}}}"), "type": "string"}],
            }),
        },
    });
    if step.operation == "uploadVideo" {
        request["body"] = json!({"mode": "formdata", "formdata": [
            {"key": "title", "value": "Mi mejor jugada", "type": "text"},
            {"key": "is_public", "value": "false", "type": "text"},
            {"key": "video_file", "src": VIDEO, "type": "file"},
        ]});
    } else if let Some(Value::String(text)) = &step.body {
        let options = json!({"raw": {"language": "text"}});
        request["body"] = json!({"mode": "raw", "raw": text, "options": options});
    } else if let Some(body) = &step.body {
        let text = serde_json::to_string_pretty(body).unwrap();
        let options = json!({"raw": {"language": "json"}});
        request["body"] = json!({"mode": "raw", "raw": text, "options": options});
    }
    let mut events = vec![event(
        "test",
        &assertions(step, operation.members(&DOCUMENT, step.status)),
    )];
    if !step.before.is_empty() {
        events.insert(0, event("prerequest", step.before));
    }
    json!({"name": step.name, "event": events, "request": request})
}

fn event(listen: &str, script: &str) -> Value {
    let lines: Vec<_> = script.lines().collect();
    json!({"listen": listen, "script": {"type": "text/javascript", "exec": lines}})
}

/// Returns the script that checks status and members of a response.
fn assertions(step: &Step, members: Option<Members>) -> String {
    let status = step.status;
    let mut script = format!(
        "pm.test(\"the status is {status}\", () => pm.response.to.have.status({status}));\n"
    );
    if let Some(Members { names, is_list }) = members {
        script += "const body = pm.response.json();\n";
        let (place, label) = if is_list {
            ("body[0]", "the first entry")
        } else {
            ("body", "the body")
        };
        if !names.is_empty() {
            let names = serde_json::to_string(&names).unwrap();
            let check = format!("pm.expect({place}).to.include.all.keys({names})");
            let _infallible = writeln!(
                script,
                "pm.test(\"{label} has its members\", () => {check});"
            );
        } else if is_list {
            script +=
                "pm.test(\"the body is a list\", () => pm.expect(body).to.be.an(\"array\"));\n";
        }
    }
    script + step.after
}

fn path_of(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(file)
}

fn files() -> [(&'static str, Value); 2] {
    [(COLLECTION, collection()), (ENVIRONMENT, environment())]
}

#[test]
fn collection_follows_the_document() {
    for (file, expected) in files() {
        let kept: Value =
            serde_json::from_str(&fs::read_to_string(path_of(file)).unwrap()).unwrap();
        assert_eq!(kept, expected, "{file} is outdated: run make postman");
    }
}

#[test]
#[ignore = "writes the collection: make postman"]
fn write_collection() {
    for (file, value) in files() {
        let text = serde_json::to_string_pretty(&value).unwrap() + "\n";
        fs::create_dir_all(path_of("docs/postman")).unwrap();
        fs::write(path_of(file), text).unwrap();
    }
}

#[test]
fn journey_covers_every_operation() {
    let used: BTreeSet<_> = journey().iter().map(|step| step.operation).collect();
    let operations = DOCUMENT.operations();
    let all: BTreeSet<_> = operations.iter().map(|operation| operation.id).collect();
    assert_eq!(used, all);
}

/// Newman is installed where npm exists; elsewhere nothing is checked.
#[tokio::test]
async fn newman_runs_the_collection_without_a_failure() {
    let program = path_of(".anb/tools/newman/node_modules/newman/bin/newman.js");
    if !program.exists() {
        println!("npm is missing: newman is NOT run");
        return;
    }
    let app = TestApp::spawn().await;
    let organiser = app.sign_up("Nora", "Cali").await.email;
    app.grant(&organiser, Role::Organiser).await;
    fs::write(app.folder.path().join(VIDEO), film().await).unwrap();
    let (worker, _shutdown) = app.worker().await;
    let run = async {
        // Without an organiser, their requests are skipped.
        let mut counts = Vec::new();
        for organiser in ["", &organiser] {
            let mut newman = Command::new("node");
            newman
                .arg(&program)
                .args(["run", "--color", "off", "--working-dir"])
                .arg(app.folder.path())
                .arg("--environment")
                .arg(path_of(ENVIRONMENT))
                .args(["--env-var", &format!("base_url={}", app.url)])
                .args(["--env-var", &format!("organiser_email={organiser}")])
                .args(["--env-var", &format!("organiser_password={PASSWORD}")])
                .arg(path_of(COLLECTION));
            let output = newman.output().await.unwrap();
            let report = String::from_utf8_lossy(&output.stdout).into_owned();
            println!("{report}");
            assert!(output.status.success(), "the report is above");
            counts.push(report.matches("/api/moderation/").count());
        }
        counts
    };
    let counts = tokio::select! {
        counts = run => counts,
        () = worker.run() => panic!("the worker ended"),
    };
    assert_eq!(counts, [1, 5]);
}
