//! The requests of the collection, in their order.

use serde_json::{Value, json};

/// The file that the collection uploads, relative to Postman's working directory.
pub const VIDEO: &str = "jugada.mp4";

/// The variable with the id of the player's video.
const VIDEO_ID: &str = "{{video_id}}";

/// One request of the collection.
pub struct Step {
    /// Name in the collection, unique.
    pub name: &'static str,
    pub operation: &'static str,
    pub status: u16,
    /// The variable with the caller's token.
    pub token: Option<&'static str>,
    /// Replaces the example of the body. A string is sent as it is.
    pub body: Option<Value>,
    pub headers: Vec<(&'static str, &'static str)>,
    /// Values of path parameters, and a query.
    pub path: Vec<(&'static str, &'static str)>,
    pub query: &'static str,
    /// JavaScript before the request.
    pub before: &'static str,
    /// JavaScript after the assertions.
    pub after: &'static str,
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
pub fn journey() -> Vec<Step> {
    let parts = [
        clip_and_votes(),
        moderation(),
        contest(),
        resumed_upload(),
        farewell(),
    ];
    parts.into_iter().flatten().collect()
}

/// Returns the requests from sign-up to the ranking. Player and fan are new in each run.
fn clip_and_votes() -> Vec<Step> {
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
        step("Rules for videos", "getRules", 200),
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
        step("Report the video", "reportVideo", 200)
            .by("fan_token")
            .at("video_id", VIDEO_ID)
            .sends(json!({"reason": "other_person", "text": "Mi hermano sale sin permiso."})),
        step("Report the video again", "reportVideo", 400)
            .by("fan_token")
            .at("video_id", VIDEO_ID)
            .sends(json!({"reason": "other"}))
            .after(
                "pm.test(\"the code is already_reported\", () => \
                     pm.expect(body.code).to.equal(\"already_reported\"));",
            ),
        step("Places", "listCities", 200).query("q=cali"),
        step("Public videos", "listPublicVideos", 200).query("city=Cali&limit=10"),
        step("Ranking", "listRankings", 200).query("city=Cali&by=player"),
    ]
}

/// Returns the requests of an organiser, which are skipped if the environment names none.
fn moderation() -> Vec<Step> {
    let step = |name, operation, status| {
        step(name, operation, status).before(
            "if (!pm.environment.get(\"organiser_email\")) {\n    pm.execution.skipRequest();\n}",
        )
    };
    let hide = |name, status| {
        step(name, "hideVideo", status)
            .at("video_id", VIDEO_ID)
            .sends(json!({"reason": "Se ven datos personales de otra persona."}))
    };
    let grant = |name, role| {
        step(name, "grantRole", 200)
            .by("organiser_token")
            .sends(json!({"email": "{{fan}}", "role": role}))
    };
    vec![
        hide("Hide the video as a fan", 404)
            .by("fan_token")
            .before(""),
        step("Log in the organiser", "logIn", 200)
            .sends(json!({
                "email": "{{organiser_email}}", "password": "{{organiser_password}}",
            }))
            .after("pm.collectionVariables.set(\"organiser_token\", body.access_token);"),
        step("List of reports", "listReports", 200)
            .by("organiser_token")
            .after(
                "pm.test(\"the video is listed\", () => \
                     pm.expect(body.map((entry) => entry.video_id))\
                         .to.include(pm.collectionVariables.get(\"video_id\")));",
            ),
        step("Dismiss the reports", "dismissReports", 200)
            .by("organiser_token")
            .at("video_id", VIDEO_ID),
        hide("Hide the video", 200).by("organiser_token"),
        step("The owner reads why", "getVideo", 200)
            .by("player_token")
            .at("video_id", VIDEO_ID)
            .after(
                "pm.test(\"the reason is there\", () => \
                     pm.expect(body.hidden_reason).to.include(\"datos personales\"));",
            ),
        step("The owner answers", "answerModeration", 200)
            .by("player_token")
            .at("video_id", VIDEO_ID)
            .sends(json!({"text": "Son los datos de la cancha."}))
            .after(
                "pm.test(\"the answer is there\", () => \
                     pm.expect(body.answer).to.include(\"la cancha\"));",
            ),
        step("Show the video again", "showVideo", 200)
            .by("organiser_token")
            .at("video_id", VIDEO_ID),
        grant("Make the fan a moderator", "moderator"),
        grant("Make the fan a player again", "player"),
        step("What was done", "listAudit", 200)
            .by("organiser_token")
            .query("limit=10")
            .after(
                "pm.test(\"the latest act is the last one\", () => \
                     pm.expect(body[0].after.role).to.equal(\"player\"));",
            ),
    ]
}

/// Returns the requests of an organiser who runs a contest, and removes the next one.
fn contest() -> Vec<Step> {
    const CONTEST: &str = "{{contest}}";
    let step = |name, operation, status| {
        step(name, operation, status).by("organiser_token").before(
            "if (!pm.environment.get(\"organiser_email\")) {\n    pm.execution.skipRequest();\n}",
        )
    };
    let about = |name, operation, status| step(name, operation, status).at("slug", CONTEST);
    let public = |name, operation| Step {
        token: None,
        ..about(name, operation, 200)
    };
    vec![
        step("Create a contest", "createContest", 201)
            .sends(json!({
                "slug": "copa-{{$timestamp}}", "name": "Copa de prueba",
                "submissions_open_at": "2020-01-01", "voting_close_at": "2999-01-01",
            }))
            .after("pm.collectionVariables.set(\"contest\", body.slug);"),
        Step {
            token: None,
            ..step("Where the contest stands", "getContest", 200)
        },
        step("All contests", "listContests", 200),
        about("The contest", "getContestForStaff", 200),
        about("Close the voting now", "scheduleContest", 200)
            .query("force=true")
            .sends(json!({"voting_close_at": "now"})),
        about("Freeze the result", "freezeContest", 200),
        about("The result before it is public", "previewResults", 200),
        about("Its file before it is public", "previewResultFile", 200),
        about("Its table before it is public", "previewResultTable", 200),
        about("Publish the result", "publishContest", 200),
        public("The result", "listResults"),
        public("The file of the result", "getResultFile"),
        public("The table of the result", "getResultTable"),
        step("Create the next contest", "createContest", 201)
            .sends(json!({
                "slug": "siguiente-{{$timestamp}}", "name": "Copa siguiente",
                "voting_close_at": "2999-01-01",
            }))
            .after("pm.collectionVariables.set(\"contest\", body.slug);"),
        about("Remove the next contest", "removeContest", 204),
    ]
}

/// Returns the last requests about the video, and those that end both sessions.
fn farewell() -> Vec<Step> {
    vec![
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
