//! The table of error codes.

use actix_web::http::StatusCode;

use crate::language::Language;

/// Declares the codes: status, stable name, Spanish and English sentence of each.
macro_rules! codes {
    ($($code:ident = $status:expr, $name:literal, $spanish:literal, $english:literal;)+) => {
        /// Stable error codes. Each has one status and one sentence per language.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Code {
            $($code,)+
        }

        impl Code {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$code,)+];

            /// Returns status, stable name, Spanish and English sentence.
            fn entry(self) -> (StatusCode, &'static str, &'static str, &'static str) {
                match self {
                    $(Self::$code => ($status, $name, $spanish, $english),)+
                }
            }
        }
    };
}

codes! {
    AccountTooNew = StatusCode::BAD_REQUEST, "account_too_new",
        "Tu cuenta es demasiado nueva para votar en este concurso.",
        "Your account is too new to vote in this contest.";
    AlreadyAnswered = StatusCode::BAD_REQUEST, "already_answered",
        "Ya respondiste. La organización va a leer tu respuesta.",
        "You have answered already. The organisers will read your answer.";
    AlreadyHidden = StatusCode::CONFLICT, "already_hidden",
        "Otra persona de la organización ya ocultó este video.",
        "Another organiser has hidden this clip already.";
    AlreadyReported = StatusCode::BAD_REQUEST, "already_reported",
        "Ya reportaste este video. La organización lo va a revisar.",
        "You have reported this video already. The organisers will look at it.";
    AlreadySettled = StatusCode::CONFLICT, "already_settled",
        "Otra persona de la organización ya revisó este video.",
        "Another organiser has dealt with this clip already.";
    AlreadyVoted = StatusCode::BAD_REQUEST, "already_voted",
        "Ya has votado por este video.",
        "You have already voted for this video.";
    BodyTooLarge = StatusCode::PAYLOAD_TOO_LARGE, "body_too_large",
        "La solicitud es demasiado grande.",
        "The request is too large.";
    BodyTooSlow = StatusCode::REQUEST_TIMEOUT, "body_too_slow",
        "La solicitud tardó demasiado en llegar. Intenta de nuevo con una mejor conexión.",
        "The request took too long to arrive. Try again with a better connection.";
    ChecksumMismatch =
        StatusCode::from_u16(460).unwrap_or(StatusCode::BAD_REQUEST), "checksum_mismatch",
        "Los datos llegaron dañados y se descartaron. Envíalos de nuevo.",
        "The data arrived damaged and was discarded. Send it again.";
    ContestFrozen = StatusCode::CONFLICT, "contest_frozen",
        "El resultado de este concurso ya está congelado.",
        "The result of this contest is frozen already.";
    ContestNotFrozen = StatusCode::CONFLICT, "contest_not_frozen",
        "El resultado de este concurso aún no está congelado.",
        "The result of this contest is not frozen yet.";
    ContestNotOver = StatusCode::CONFLICT, "contest_not_over",
        "La votación de este concurso aún no ha terminado.",
        "The voting of this contest is not over yet.";
    ContestPublished = StatusCode::CONFLICT, "contest_published",
        "El resultado de este concurso ya está publicado.",
        "The result of this contest is published already.";
    ContestRunning = StatusCode::CONFLICT, "contest_running",
        "Hay otro concurso en curso: congela su resultado o elimínalo primero.",
        "Another contest is running: freeze its result or remove it first.";
    CrossOrigin = StatusCode::FORBIDDEN, "cross_origin",
        "La solicitud viene de otro sitio. Hazla desde las páginas de ANB Rising Stars.",
        "The request comes from another site. Make it on the pages of ANB Rising Stars.";
    EmailTaken = StatusCode::BAD_REQUEST, "email_taken",
        "El correo electrónico ya está registrado.",
        "The e-mail address is registered already.";
    EntryLimit = StatusCode::BAD_REQUEST, "entry_limit",
        "Ya tienes tantos videos en este concurso como permiten las reglas.",
        "You have as many videos in this contest as the rules allow.";
    FileTooLarge = StatusCode::BAD_REQUEST, "file_too_large",
        "El archivo supera el tamaño máximo permitido.",
        "The file is larger than allowed.";
    Forbidden = StatusCode::FORBIDDEN, "forbidden",
        "No tienes permiso para acceder a este video.",
        "You may not access this video.";
    ForceRequired = StatusCode::CONFLICT, "force_required",
        "Este cambio afecta un concurso en curso: revisa los campos y repite la solicitud con force=true.",
        "This change affects a contest that is running: check the fields, and repeat the request with force=true.";
    HiddenVideo = StatusCode::BAD_REQUEST, "hidden_video",
        "La organización ocultó este video, así que no se puede publicar.",
        "The organisers hid this clip, so it cannot be published.";
    IdempotencyKeyReused = StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused",
        "Idempotency-Key ya se usó para otra subida: envía otra clave.",
        "Idempotency-Key was used for another upload: send another key.";
    Internal = StatusCode::INTERNAL_SERVER_ERROR, "internal",
        "Ocurrió un error inesperado. Intenta de nuevo más tarde.",
        "Something unexpected went wrong. Try again later.";
    InvalidForm = StatusCode::BAD_REQUEST, "invalid_form",
        "El formulario no se puede leer: envía multipart/form-data con video_file, title e \
         is_public, cada uno una sola vez.",
        "The form cannot be read: send multipart/form-data with video_file, title and \
         is_public, each once.";
    InvalidJson = StatusCode::BAD_REQUEST, "invalid_json",
        "El cuerpo de la solicitud no es el JSON esperado.",
        "The body of the request is not the expected JSON.";
    InvalidMetadata = StatusCode::BAD_REQUEST, "invalid_metadata",
        "Upload-Metadata no es válida: envía claves con valores en base64, separadas por comas.",
        "Upload-Metadata is not valid: send keys with base64 values, separated by commas.";
    JsonExpected = StatusCode::BAD_REQUEST, "json_expected",
        "Falta la cabecera Content-Type: application/json: el cuerpo debe ser JSON.",
        "The header Content-Type: application/json is missing: the body must be JSON.";
    LastOrganiser = StatusCode::CONFLICT, "last_organiser",
        "Es la única persona que organiza: dale antes el rol a otra.",
        "This is the only organiser: give somebody else the role first.";
    MediaNotSigned = StatusCode::FORBIDDEN, "media_not_signed",
        "El enlace no es válido o ya venció.",
        "The link is not valid or has expired.";
    MethodNotAllowed = StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed",
        "Este método no está permitido en esta dirección.",
        "This method is not allowed at this address.";
    MissingFile = StatusCode::BAD_REQUEST, "missing_file",
        "Falta el archivo de video: envíalo en el campo video_file.",
        "The video file is missing: send it in the field video_file.";
    NotAcceptable = StatusCode::NOT_ACCEPTABLE, "not_acceptable",
        "Accept-Encoding excluye todas las codificaciones disponibles: identity, gzip y deflate.",
        "Accept-Encoding excludes every available encoding: identity, gzip and deflate.";
    NotAnMp4 = StatusCode::BAD_REQUEST, "not_an_mp4",
        "El archivo no es un video MP4. Expórtalo como MP4 y súbelo de nuevo.",
        "The file is not an MP4 video. Export it as MP4 and upload it again.";
    NotFound = StatusCode::NOT_FOUND, "not_found",
        "No se encontró lo solicitado.",
        "Not found.";
    NotHidden = StatusCode::CONFLICT, "not_hidden",
        "Este video no está oculto.",
        "This clip is not hidden.";
    NotInContest = StatusCode::BAD_REQUEST, "not_in_contest",
        "Este video no participa en el concurso actual.",
        "This video does not take part in the current contest.";
    NotPublishable = StatusCode::BAD_REQUEST, "not_publishable",
        "El procesamiento de este video falló, así que no se puede publicar.",
        "This video could not be processed, so it cannot be published.";
    NothingToChange = StatusCode::BAD_REQUEST, "nothing_to_change",
        "No hay nada que cambiar: envía title, is_public o ambos.",
        "There is nothing to change: send title, is_public or both.";
    OffsetMismatch = StatusCode::CONFLICT, "offset_mismatch",
        "La subida está en otra posición: continúa desde Upload-Offset.",
        "The upload is at another position: continue from Upload-Offset.";
    OwnReport = StatusCode::BAD_REQUEST, "own_report",
        "Este video es tuyo: puedes retirarlo de la votación cuando quieras.",
        "This video is yours: you can take it out of the vote at any time.";
    OwnVideo = StatusCode::BAD_REQUEST, "own_video",
        "No puedes votar por tu propio video.",
        "You cannot vote for your own video.";
    PreconditionFailed = StatusCode::PRECONDITION_FAILED, "precondition_failed",
        "El archivo cambió desde que lo consultaste.",
        "The file has changed since you asked for it.";
    PublishedVideo = StatusCode::BAD_REQUEST, "published_video",
        "El video está publicado para votación: retíralo de la votación antes de eliminarlo.",
        "The video is published for voting: unpublish it before you delete it.";
    RangeNotSatisfiable = StatusCode::RANGE_NOT_SATISFIABLE, "range_not_satisfiable",
        "El archivo no tiene la parte solicitada.",
        "The file does not have the part you asked for.";
    StorageFull = StatusCode::SERVICE_UNAVAILABLE, "storage_full",
        "No hay espacio para recibir videos en este momento. Intenta de nuevo más tarde.",
        "There is no room for videos at the moment. Try again later.";
    SubmissionsClosed = StatusCode::BAD_REQUEST, "submissions_closed",
        "El concurso no recibe videos en este momento.",
        "The contest takes no videos at this time.";
    TooManyOpenUploads = StatusCode::TOO_MANY_REQUESTS, "too_many_open_uploads",
        "Tienes demasiadas subidas en curso. Espera a que terminen antes de empezar otra.",
        "You have too many uploads running. Wait until they end before you start another one.";
    TooManyReports = StatusCode::TOO_MANY_REQUESTS, "too_many_reports",
        "Ya enviaste 20 reportes en las últimas 24 horas. Puedes reportar más mañana.",
        "You have sent 20 reports in the last 24 hours. You can report more tomorrow.";
    TooManyRequests = StatusCode::TOO_MANY_REQUESTS, "too_many_requests",
        "Demasiadas solicitudes. Espera un momento antes de intentar de nuevo.",
        "Too many requests. Wait a moment before you try again.";
    TooManyUploads = StatusCode::TOO_MANY_REQUESTS, "too_many_uploads",
        "Tienes demasiadas subidas sin terminar. Termina o cancela una antes de empezar otra.",
        "You have too many unfinished uploads. Finish or cancel one before you start another one.";
    TooManyWaitingVideos = StatusCode::TOO_MANY_REQUESTS, "too_many_waiting_videos",
        "Tienes demasiados videos en espera de su clip. Espera a que se procesen antes de subir otro.",
        "You have too many videos waiting for their clips. Wait until they are processed before you \
         upload another one.";
    Unauthorized = StatusCode::UNAUTHORIZED, "unauthorized",
        "Debes iniciar sesión.",
        "You must log in.";
    Unavailable = StatusCode::SERVICE_UNAVAILABLE, "unavailable",
        "El servicio no está disponible en este momento. Intenta de nuevo en unos segundos.",
        "The service is not available at the moment. Try again in a few seconds.";
    UnsupportedEncoding = StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_encoding",
        "El cuerpo de la solicitud está comprimido: envíalo sin Content-Encoding.",
        "The body of the request is compressed: send it without Content-Encoding.";
    UnsupportedMediaType = StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type",
        "Envía los datos con la cabecera Content-Type: application/offset+octet-stream.",
        "Send the data with the header Content-Type: application/offset+octet-stream.";
    UnsupportedTusVersion = StatusCode::PRECONDITION_FAILED, "unsupported_tus_version",
        "Falta la cabecera Tus-Resumable: 1.0.0, la única versión disponible.",
        "The header Tus-Resumable: 1.0.0 is missing, the only available version.";
    UploadBusy = StatusCode::LOCKED, "upload_busy",
        "Otra solicitud está enviando esta subida. Intenta de nuevo en un segundo.",
        "Another request is sending this upload. Try again in a second.";
    UploadGone = StatusCode::GONE, "upload_gone",
        "La subida venció o se perdió. Empieza de nuevo.",
        "The upload has expired or was lost. Start again.";
    UploadInterrupted = StatusCode::SERVICE_UNAVAILABLE, "upload_interrupted",
        "La subida se interrumpió. Lo recibido se conserva: continúa en un momento.",
        "The upload was interrupted. What arrived is kept: continue in a moment.";
    UploadTooLarge = StatusCode::PAYLOAD_TOO_LARGE, "upload_too_large",
        "La subida es más grande de lo permitido o de lo anunciado en Upload-Length.",
        "The upload is larger than allowed or than Upload-Length said.";
    ValidationFailed = StatusCode::BAD_REQUEST, "validation_failed",
        "Revisa los datos enviados.",
        "Check the data you sent.";
    VoteLimit = StatusCode::BAD_REQUEST, "vote_limit",
        "Ya usaste todos los votos que permiten las reglas del concurso.",
        "You have used all votes that the rules of the contest allow.";
    VotingClosed = StatusCode::BAD_REQUEST, "voting_closed",
        "La votación no está abierta en este momento.",
        "Voting is not open at this time.";
    WrongCredentials = StatusCode::UNAUTHORIZED, "wrong_credentials",
        "Correo electrónico o contraseña incorrectos.",
        "Wrong e-mail address or password.";
}

impl Code {
    pub fn status(self) -> StatusCode {
        self.entry().0
    }

    /// Returns the stable name.
    pub fn name(self) -> &'static str {
        self.entry().1
    }

    /// Returns the sentence for users.
    pub fn message(self, language: Language) -> &'static str {
        let (_, _, spanish, english) = self.entry();
        language.select(spanish, english)
    }
}
