//! The Postman collection in `docs/postman`, made from the document and from [`journey`]: every
//! operation at least once, in an order that works, each response asserted. `make postman` writes it.

use std::{collections::BTreeSet, fmt::Write as _, fs, path::PathBuf};

use serde_json::{Value, json};
use tokio::process::Command;

use super::document::{DOCUMENT, Members};
use crate::support::{TestApp, film};

const COLLECTION: &str = "docs/postman/anb.postman_collection.json";
const ENVIRONMENT: &str = "docs/postman/anb.postman_environment.json";

/// The file that the collection uploads, relative to Postman's working directory.
const VIDEO: &str = "jugada.mp4";

/// One request of the collection.
struct Step {
    /// Name in the collection, unique.
    name: &'static str,
    operation: &'static str,
    status: u16,
    /// The variable with the caller's token.
    token: Option<&'static str>,
    /// Replaces the example of the body. A string is sent as it is.
    body: Option<Value>,
    headers: Vec<(&'static str, &'static str)>,
    /// Values of path parameters, and a query.
    path: Vec<(&'static str, &'static str)>,
    query: &'static str,
    /// JavaScript before the request.
    before: &'static str,
    /// JavaScript after the assertions.
    after: &'static str,
}

fn step(name: &'static str, operation: &'static str, status: u16) -> Step {
    Step {
        name,
        operation,
        status,
        token: None,
        body: None,
        headers: Vec::new(),
        path: Vec::new(),
        query: "",
        before: "",
        after: "",
    }
}

impl Step {
    fn by(self, token: &'static str) -> Self {
        Self {
            token: Some(token),
            ..self
        }
    }

    fn sends(self, body: Value) -> Self {
        Self {
            body: Some(body),
            ..self
        }
    }

    fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    fn at(mut self, parameter: &'static str, value: &'static str) -> Self {
        self.path.push((parameter, value));
        self
    }

    fn query(self, query: &'static str) -> Self {
        Self { query, ..self }
    }

    fn before(self, before: &'static str) -> Self {
        Self { before, ..self }
    }

    fn after(self, after: &'static str) -> Self {
        Self { after, ..self }
    }
}

/// Returns the requests in their order.
fn journey() -> Vec<Step> {
    let parts = [clip_and_votes(), resumed_upload(), farewell()];
    parts.into_iter().flatten().collect()
}

/// Returns the requests from sign-up to the deletion of a video. Player and fan are new in each run.
fn clip_and_votes() -> Vec<Step> {
    const VIDEO_ID: &str = "{{video_id}}";
    let person = |name: &str, email: &str| {
        json!({
            "first_name": name, "last_name": "Rojas", "email": email, "password1": "{{password}}",
            "password2": "{{password}}", "city": "Cali", "country": "Colombia",
        })
    };
    let credentials = |email: &str| json!({"email": email, "password": "{{password}}"});
    vec![
        step("Health", "getHealth", 200),
        step("Readiness", "getReadiness", 200),
        step("Contract", "getContract", 200),
        step("Swagger UI", "getSwagger", 200).at("file", "index.html"),
        step("Error code", "getErrorCode", 200).at("code", "already_voted"),
        step("Sign up the player", "signUp", 201)
            .sends(person("Ana", "{{player}}"))
            .before(
                "const run = Date.now();\n\
                 pm.collectionVariables.set(\"player\", `ana-${run}@example.com`);\n\
                 pm.collectionVariables.set(\"fan\", `luis-${run}@example.com`);",
            ),
        step("Sign up the fan", "signUp", 201).sends(person("Luis", "{{fan}}")),
        step("Log in the player", "logIn", 200)
            .sends(credentials("{{player}}"))
            .after("pm.collectionVariables.set(\"player_token\", body.access_token);"),
        step("Log in the fan", "logIn", 200)
            .sends(credentials("{{fan}}"))
            .after("pm.collectionVariables.set(\"fan_token\", body.access_token);"),
        step("Profile", "getProfile", 200).by("player_token"),
        step("Upload a video", "uploadVideo", 201)
            .by("player_token")
            .after("pm.collectionVariables.set(\"video_id\", body.task_id);"),
        step("Wait for the clip", "getVideo", 200)
            .by("player_token")
            .at("video_id", VIDEO_ID)
            .after(
                "if ([\"uploaded\", \"processing\"].includes(body.status)) {\n    \
                     setTimeout(() => {}, 1000);\n    \
                     postman.setNextRequest(pm.info.requestName);\n\
                 } else {\n    \
                     pm.test(\"the clip is ready\", () => \
                         pm.expect(body.status).to.equal(\"processed\"));\n    \
                     const [path, query] = String(body.processed_url).split(\"/media/\")[1]\
                         .split(\"?\");\n    \
                     pm.collectionVariables.set(\"key\", path);\n    \
                     pm.collectionVariables.set(\"signature\", query || \"\");\n\
                 }",
            ),
        step("Clip", "getMedia", 200)
            .at("key", "{{key}}")
            .query("{{signature}}"),
        step("Own videos", "listOwnVideos", 200).by("player_token"),
        step("Change the title", "changeVideo", 200)
            .by("player_token")
            .at("video_id", VIDEO_ID)
            .sends(json!({"title": "Triple desde media cancha"})),
        step("Publish the video", "publishVideo", 200)
            .by("player_token")
            .at("video_id", VIDEO_ID),
        step("Publish the video with PUT", "publishVideoPut", 200)
            .by("player_token")
            .at("video_id", VIDEO_ID),
        step("Vote", "castVote", 200)
            .by("fan_token")
            .at("video_id", VIDEO_ID),
        step("Vote again", "castVote", 400)
            .by("fan_token")
            .at("video_id", VIDEO_ID)
            .after(
                "pm.test(\"the code is already_voted\", () => \
                     pm.expect(body.code).to.equal(\"already_voted\"));",
            ),
        step("Votes of the fan", "listOwnVotes", 200)
            .by("fan_token")
            .after(
                "pm.test(\"the vote is listed\", () => \
                     pm.expect(body).to.include(pm.collectionVariables.get(\"video_id\")));",
            ),
        step("Public videos", "listPublicVideos", 200).query("city=Cali&limit=10"),
        step("Ranking", "listRankings", 200).query("city=Cali&by=player"),
        step("Unpublish the video", "changeVideo", 200)
            .by("player_token")
            .at("video_id", VIDEO_ID)
            .sends(json!({"is_public": false})),
        step("Delete the video", "deleteVideo", 200)
            .by("player_token")
            .at("video_id", VIDEO_ID),
        step("The video is gone", "getVideo", 404)
            .by("player_token")
            .at("video_id", VIDEO_ID),
    ]
}

/// Returns the last requests.
fn farewell() -> Vec<Step> {
    vec![
        step("Change the password", "changePassword", 200)
            .by("player_token")
            .sends(json!({
                "current": "{{password}}", "password1": "tablero-2027", "password2": "tablero-2027",
            })),
        step("Log out the fan", "logOut", 200).by("fan_token"),
    ]
}

/// Returns the requests of an upload that is resumed and cancelled.
fn resumed_upload() -> Vec<Step> {
    const UPLOAD_ID: &str = "{{upload_id}}";
    let tus = |name, operation, status| {
        step(name, operation, status)
            .by("player_token")
            .header("Tus-Resumable", "1.0.0")
    };
    vec![
        step("What uploads support", "describeUploads", 204),
        tus("Create an upload", "createUpload", 201)
            .header("Upload-Length", "1048576")
            .header("Upload-Metadata", "title TWkgbWVqb3IganVnYWRh,filename anVnYWRhLm1wNA==")
            .header("Idempotency-Key", "{{$guid}}")
            .after("pm.collectionVariables.set(\"upload_id\", body.task_id);"),
        step("What this upload supports", "describeUpload", 204).at("video_id", UPLOAD_ID),
        tus("Send the first bytes", "appendToUpload", 204)
            .at("video_id", UPLOAD_ID)
            .header("Upload-Offset", "0")
            .header("Content-Type", "application/offset+octet-stream")
            .sends("\0\0\0\u{14}ftypisom\0\0\u{2}\0mp42".into()),
        tus("Bytes that arrived", "getUploadOffset", 200)
            .at("video_id", UPLOAD_ID)
            .after(
                "pm.test(\"20 bytes are stored\", () => \
                     pm.response.to.have.header(\"Upload-Offset\", \"20\"));",
            ),
        step("Open uploads", "listUploads", 200)
            .by("player_token")
            .after(
                "pm.test(\"the upload is listed\", () => \
                     pm.expect(body[0].video_id).to.equal(pm.collectionVariables.get(\"upload_id\")));",
            ),
        tus("Cancel the upload", "cancelUpload", 204).at("video_id", UPLOAD_ID),
        tus("The upload is gone", "getUploadOffset", 404).at("video_id", UPLOAD_ID),
    ]
}

fn collection() -> Value {
    let items: Vec<_> = journey().iter().map(item).collect();
    let variables = [
        "player",
        "fan",
        "player_token",
        "fan_token",
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
                 working directory.",
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
    fs::write(app.folder.path().join(VIDEO), film().await).unwrap();
    let (worker, _shutdown) = app.worker().await;
    let mut newman = Command::new("node");
    newman
        .arg(program)
        .args(["run", "--color", "off", "--working-dir"])
        .arg(app.folder.path())
        .arg("--environment")
        .arg(path_of(ENVIRONMENT))
        .args(["--env-var", &format!("base_url={}", app.url)])
        .arg(path_of(COLLECTION));
    let output = tokio::select! {
        output = newman.output() => output.unwrap(),
        () = worker.run() => panic!("the worker ended"),
    };
    let report = String::from_utf8_lossy(&output.stdout);
    println!("{report}");
    assert!(output.status.success(), "the report is above");
}
