//! Unusual but valid forms of clients other than browsers (RFC 2046, RFC 7578).

use tokio::io::AsyncWriteExt as _;

use super::{assert_nothing_left, start};
use crate::support::{Player, TestApp, mp4, read};

/// A variation of a form.
#[derive(Clone, Copy)]
struct Odd<'a> {
    what: &'a str,
    content_type: &'a str,
    /// Delimiter of the parts, without the leading hyphens.
    delimiter: &'a str,
    /// Additional parameters of the file's `Content-Disposition`.
    file: &'a [u8],
    /// Additional headers of each part.
    headers: &'a str,
    before: &'a str,
    after: &'a str,
}

const PLAIN: Odd<'_> = Odd {
    what: "plain",
    content_type: "multipart/form-data; boundary=b0undary",
    delimiter: "b0undary",
    file: b"; filename=\"jugada.mp4\"",
    headers: "",
    before: "",
    after: "--\r\n",
};

impl Odd<'_> {
    fn body(self) -> Vec<u8> {
        let Self {
            delimiter, headers, ..
        } = self;
        let title = format!(
            "{}--{delimiter}\r\n{headers}Content-Disposition: form-data; name=\"title\"\r\n\r\nMi mejor jugada\r\n\
             --{delimiter}\r\n{headers}Content-Disposition: form-data; name=\"video_file\"",
            self.before
        );
        let delimiter = delimiter.trim_end();
        let end = format!("\r\n--{delimiter}{}", self.after);
        let film = mp4(5000);
        [
            title.as_bytes(),
            self.file,
            b"\r\n\r\n",
            &film,
            end.as_bytes(),
        ]
        .concat()
    }

    /// Sends the form in one piece, then in pieces of seven bytes. Returns the responses.
    async fn send(self, app: &TestApp, player: &Player) -> Vec<String> {
        let body = self.body();
        let head = format!(
            "POST /api/videos/upload HTTP/1.1\r\nhost: test\r\nconnection: close\r\nauthorization: Bearer {}\r\n\
             content-type: {}\r\ncontent-length: {}\r\n\r\n",
            player.token,
            self.content_type,
            body.len()
        );
        let mut answers = Vec::new();
        for step in [body.len(), 7] {
            let mut connection = app.open(head.as_bytes()).await;
            connection.set_nodelay(true).unwrap();
            for piece in body.chunks(step) {
                connection.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
            answers.push(read(&mut connection).await);
        }
        answers
    }
}

#[tokio::test]
async fn unusual_valid_forms_are_accepted() {
    let (app, ana) = start(&[]).await;
    let forms = [
        PLAIN,
        Odd {
            what: "a length of each part, which is ignored",
            headers: "Content-Length: 3\r\n",
            ..PLAIN
        },
        Odd {
            what: "a length that is not a number",
            headers: "Content-Length: many\r\nContent-Transfer-Encoding: binary\r\n",
            ..PLAIN
        },
        Odd {
            what: "a quoted boundary with a space",
            content_type: "multipart/form-data; charset=utf-8; boundary=\"a b:c/d=e?\"",
            delimiter: "a b:c/d=e?",
            ..PLAIN
        },
        Odd {
            what: "a boundary without its required quotes",
            content_type: "Multipart/Form-Data; Boundary=gc0p:J/q=?(x)",
            delimiter: "gc0p:J/q=?(x)",
            ..PLAIN
        },
        Odd {
            what: "all other boundary characters",
            content_type: "multipart/form-data;boundary=a'b+c_d,e-f.g",
            delimiter: "a'b+c_d,e-f.g",
            ..PLAIN
        },
        Odd {
            what: "whitespace after the boundary",
            delimiter: "b0undary \t ",
            after: "-- \t\r\n",
            ..PLAIN
        },
        Odd {
            what: "a file name in Latin-1",
            file: b"; filename=\"canci\xf3n \xe9\xff.mp4\"",
            ..PLAIN
        },
        Odd {
            what: "an extended file name",
            file: b"; filename*=UTF-8''jugada%20%C3%B1.mp4",
            ..PLAIN
        },
        Odd {
            what: "an invalid extended file name",
            file: b"; filename*=%zz\xf1; filename=x",
            ..PLAIN
        },
        Odd {
            what: "a file name with quotes and semicolons",
            file: b"; filename=\"a; name=x \\\"b\\\".mp4\"",
            ..PLAIN
        },
        Odd {
            what: "text before and after the form",
            before: "This is a form.\r\n",
            after: "--\r\nThe end.",
            ..PLAIN
        },
        Odd {
            what: "no line break at the end",
            after: "--",
            ..PLAIN
        },
    ];
    for form in forms {
        for answer in form.send(&app, &ana).await {
            assert!(
                answer.starts_with("HTTP/1.1 201 "),
                "{}: {answer}",
                form.what
            );
        }
    }
    let sizes =
        "SELECT count(*) FROM videos WHERE original_bytes = 5000 AND title = 'Mi mejor jugada'";
    assert_eq!(
        app.number(sizes).await,
        2 * i64::try_from(forms.len()).unwrap()
    );
}

#[tokio::test]
async fn invalid_forms_are_rejected_and_leave_nothing() {
    let (app, ana) = start(&[]).await;
    let many = "X-Header: x\r\n".repeat(50);
    let endless = "x".repeat(2_000_000);
    for (form, code) in [
        (
            Odd {
                what: "another media type",
                content_type: "multipart/mixed; boundary=b0undary",
                ..PLAIN
            },
            "invalid_form",
        ),
        (
            Odd {
                what: "no boundary",
                content_type: "multipart/form-data",
                ..PLAIN
            },
            "invalid_form",
        ),
        (
            Odd {
                what: "another boundary",
                delimiter: "other",
                ..PLAIN
            },
            "invalid_form",
        ),
        (
            Odd {
                what: "no end",
                after: "\r\n",
                ..PLAIN
            },
            "invalid_form",
        ),
        (
            Odd {
                what: "too many headers",
                headers: &many,
                ..PLAIN
            },
            "invalid_form",
        ),
        (
            Odd {
                what: "a long text before the first part",
                before: &endless,
                delimiter: "other",
                ..PLAIN
            },
            "body_too_large",
        ),
    ] {
        let answer = &form.send(&app, &ana).await[0];
        let expected = format!("\"code\":\"{code}\"");
        assert!(answer.contains(&expected), "{}: {answer}", form.what);
    }
    assert_nothing_left(&app, "refused").await;
}
