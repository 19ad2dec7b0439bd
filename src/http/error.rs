//! The error type of all handlers, and the table of error codes. [`super::respond`] renders errors
//! as JSON in the client's language.

mod cause;

use std::{fmt, time::Duration};

use actix_web::{HttpResponse, ResponseError, http::StatusCode};

use self::cause::classify;
use crate::{
    batch::SharedError,
    language::Language,
    validate::{FieldError, Problem},
};

pub type Result<T> = std::result::Result<T, Error>;

/// `Retry-After` while a dependency is unavailable.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// `Retry-After` for an account at a quota of concurrent work: some of it should end by then.
const RETRY_AFTER_QUOTA: Duration = Duration::from_secs(30);

/// An error response.
#[derive(Debug)]
pub struct Error {
    pub code: Code,
    /// Invalid fields of the request.
    pub fields: Vec<FieldError>,
    /// Delay after which the client may retry, for 429 and 503.
    pub retry_after: Option<Duration>,
    /// For the log only; never sent to the client.
    pub cause: Option<anyhow::Error>,
}

/// Stable error codes. Each has one status and one sentence per language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    AlreadyVoted,
    BodyTooLarge,
    BodyTooSlow,
    EmailTaken,
    FileTooLarge,
    Forbidden,
    Internal,
    InvalidForm,
    InvalidJson,
    JsonExpected,
    MediaNotSigned,
    MethodNotAllowed,
    MissingFile,
    NotAcceptable,
    NotAnMp4,
    NotFound,
    NotPublishable,
    NothingToChange,
    OwnVideo,
    PreconditionFailed,
    PublishedVideo,
    RangeNotSatisfiable,
    StorageFull,
    TooManyOpenUploads,
    TooManyRequests,
    TooManyWaitingVideos,
    Unauthorized,
    Unavailable,
    UnsupportedEncoding,
    ValidationFailed,
    WrongCredentials,
}

impl Code {
    /// Every code.
    pub const ALL: &[Self] = &[
        Self::AlreadyVoted,
        Self::BodyTooLarge,
        Self::BodyTooSlow,
        Self::EmailTaken,
        Self::FileTooLarge,
        Self::Forbidden,
        Self::Internal,
        Self::InvalidForm,
        Self::InvalidJson,
        Self::JsonExpected,
        Self::MediaNotSigned,
        Self::MethodNotAllowed,
        Self::MissingFile,
        Self::NotAcceptable,
        Self::NotAnMp4,
        Self::NotFound,
        Self::NotPublishable,
        Self::NothingToChange,
        Self::OwnVideo,
        Self::PreconditionFailed,
        Self::PublishedVideo,
        Self::RangeNotSatisfiable,
        Self::StorageFull,
        Self::TooManyOpenUploads,
        Self::TooManyRequests,
        Self::TooManyWaitingVideos,
        Self::Unauthorized,
        Self::Unavailable,
        Self::UnsupportedEncoding,
        Self::ValidationFailed,
        Self::WrongCredentials,
    ];

    /// Returns status, stable name, Spanish and English sentence.
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn entry(self) -> (StatusCode, &'static str, &'static str, &'static str) {
        match self {
            Self::AlreadyVoted => (
                StatusCode::BAD_REQUEST,
                "already_voted",
                "Ya has votado por este video.",
                "You have already voted for this video.",
            ),
            Self::BodyTooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "body_too_large",
                "La solicitud es demasiado grande.",
                "The request is too large.",
            ),
            Self::BodyTooSlow => (
                StatusCode::REQUEST_TIMEOUT,
                "body_too_slow",
                "La solicitud tardó demasiado en llegar. Intenta de nuevo con una mejor conexión.",
                "The request took too long to arrive. Try again with a better connection.",
            ),
            Self::EmailTaken => (
                StatusCode::BAD_REQUEST,
                "email_taken",
                "El correo electrónico ya está registrado.",
                "The e-mail address is registered already.",
            ),
            Self::FileTooLarge => (
                StatusCode::BAD_REQUEST,
                "file_too_large",
                "El archivo supera el tamaño máximo permitido.",
                "The file is larger than allowed.",
            ),
            Self::Forbidden => (
                StatusCode::FORBIDDEN,
                "forbidden",
                "No tienes permiso para acceder a este video.",
                "You may not access this video.",
            ),
            Self::Internal => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "Ocurrió un error inesperado. Intenta de nuevo más tarde.",
                "Something unexpected went wrong. Try again later.",
            ),
            Self::InvalidForm => (
                StatusCode::BAD_REQUEST,
                "invalid_form",
                "El formulario no se puede leer: envía multipart/form-data con video_file, title e \
                 is_public, cada uno una sola vez.",
                "The form cannot be read: send multipart/form-data with video_file, title and \
                 is_public, each once.",
            ),
            Self::InvalidJson => (
                StatusCode::BAD_REQUEST,
                "invalid_json",
                "El cuerpo de la solicitud no es el JSON esperado.",
                "The body of the request is not the expected JSON.",
            ),
            Self::JsonExpected => (
                StatusCode::BAD_REQUEST,
                "json_expected",
                "Falta la cabecera Content-Type: application/json: el cuerpo debe ser JSON.",
                "The header Content-Type: application/json is missing: the body must be JSON.",
            ),
            Self::MediaNotSigned => (
                StatusCode::FORBIDDEN,
                "media_not_signed",
                "El enlace no es válido o ya venció.",
                "The link is not valid or has expired.",
            ),
            Self::MethodNotAllowed => (
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "Este método no está permitido en esta dirección.",
                "This method is not allowed at this address.",
            ),
            Self::MissingFile => (
                StatusCode::BAD_REQUEST,
                "missing_file",
                "Falta el archivo de video: envíalo en el campo video_file.",
                "The video file is missing: send it in the field video_file.",
            ),
            Self::NotAcceptable => (
                StatusCode::NOT_ACCEPTABLE,
                "not_acceptable",
                "Accept-Encoding excluye todas las codificaciones disponibles: identity, gzip y deflate.",
                "Accept-Encoding excludes every available encoding: identity, gzip and deflate.",
            ),
            Self::NotAnMp4 => (
                StatusCode::BAD_REQUEST,
                "not_an_mp4",
                "El archivo no es un video MP4. Expórtalo como MP4 y súbelo de nuevo.",
                "The file is not an MP4 video. Export it as MP4 and upload it again.",
            ),
            Self::NotFound => (
                StatusCode::NOT_FOUND,
                "not_found",
                "No se encontró lo solicitado.",
                "Not found.",
            ),
            Self::NotPublishable => (
                StatusCode::BAD_REQUEST,
                "not_publishable",
                "El procesamiento de este video falló, así que no se puede publicar.",
                "This video could not be processed, so it cannot be published.",
            ),
            Self::NothingToChange => (
                StatusCode::BAD_REQUEST,
                "nothing_to_change",
                "No hay nada que cambiar: envía title, is_public o ambos.",
                "There is nothing to change: send title, is_public or both.",
            ),
            Self::OwnVideo => (
                StatusCode::BAD_REQUEST,
                "own_video",
                "No puedes votar por tu propio video.",
                "You cannot vote for your own video.",
            ),
            Self::PreconditionFailed => (
                StatusCode::PRECONDITION_FAILED,
                "precondition_failed",
                "El archivo cambió desde que lo consultaste.",
                "The file has changed since you asked for it.",
            ),
            Self::PublishedVideo => (
                StatusCode::BAD_REQUEST,
                "published_video",
                "El video está publicado para votación: retíralo de la votación antes de eliminarlo.",
                "The video is published for voting: unpublish it before you delete it.",
            ),
            Self::RangeNotSatisfiable => (
                StatusCode::RANGE_NOT_SATISFIABLE,
                "range_not_satisfiable",
                "El archivo no tiene la parte solicitada.",
                "The file does not have the part you asked for.",
            ),
            Self::StorageFull => (
                StatusCode::SERVICE_UNAVAILABLE,
                "storage_full",
                "No hay espacio para recibir videos en este momento. Intenta de nuevo más tarde.",
                "There is no room for videos at the moment. Try again later.",
            ),
            Self::TooManyOpenUploads => (
                StatusCode::TOO_MANY_REQUESTS,
                "too_many_open_uploads",
                "Tienes demasiadas subidas en curso. Espera a que terminen antes de empezar otra.",
                "You have too many uploads running. Wait until they end before you start another one.",
            ),
            Self::TooManyRequests => (
                StatusCode::TOO_MANY_REQUESTS,
                "too_many_requests",
                "Demasiadas solicitudes. Espera un momento antes de intentar de nuevo.",
                "Too many requests. Wait a moment before you try again.",
            ),
            Self::TooManyWaitingVideos => (
                StatusCode::TOO_MANY_REQUESTS,
                "too_many_waiting_videos",
                "Tienes demasiados videos en espera de su clip. Espera a que se procesen antes de subir otro.",
                "You have too many videos waiting for their clips. Wait until they are processed before you \
                 upload another one.",
            ),
            Self::Unauthorized => (
                StatusCode::UNAUTHORIZED,
                "unauthorized",
                "Debes iniciar sesión.",
                "You must log in.",
            ),
            Self::Unavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "El servicio no está disponible en este momento. Intenta de nuevo en unos segundos.",
                "The service is not available at the moment. Try again in a few seconds.",
            ),
            Self::UnsupportedEncoding => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_encoding",
                "El cuerpo de la solicitud está comprimido: envíalo sin Content-Encoding.",
                "The body of the request is compressed: send it without Content-Encoding.",
            ),
            Self::ValidationFailed => (
                StatusCode::BAD_REQUEST,
                "validation_failed",
                "Revisa los datos enviados.",
                "Check the data you sent.",
            ),
            Self::WrongCredentials => (
                StatusCode::UNAUTHORIZED,
                "wrong_credentials",
                "Correo electrónico o contraseña incorrectos.",
                "Wrong e-mail address or password.",
            ),
        }
    }

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

impl Error {
    /// Returns the error for one invalid field of the request.
    pub fn field(field: &'static str, problem: Problem) -> Self {
        vec![FieldError { field, problem }].into()
    }

    /// Returns the error for too many requests; the client may retry after `wait`.
    pub fn too_many(wait: Duration) -> Self {
        Self {
            retry_after: Some(wait),
            ..Self::from(Code::TooManyRequests)
        }
    }
}

impl From<Code> for Error {
    fn from(code: Code) -> Self {
        let retry_after = match code.status() {
            StatusCode::SERVICE_UNAVAILABLE => Some(RETRY_AFTER),
            StatusCode::TOO_MANY_REQUESTS => Some(RETRY_AFTER_QUOTA),
            _ => None,
        };
        Self {
            code,
            fields: Vec::new(),
            retry_after,
            cause: None,
        }
    }
}

/// Converts the invalid fields of a request.
impl From<Vec<FieldError>> for Error {
    fn from(fields: Vec<FieldError>) -> Self {
        Self {
            fields,
            ..Self::from(Code::ValidationFailed)
        }
    }
}

/// Converts an unexpected error: 503 if a dependency is unavailable, 500 otherwise.
impl From<anyhow::Error> for Error {
    fn from(cause: anyhow::Error) -> Self {
        let code = classify(&cause);
        Self {
            cause: Some(cause),
            ..Self::from(code)
        }
    }
}

/// Converts an error of work shared by several requests, each of which logs it.
impl From<SharedError> for Error {
    fn from(shared: SharedError) -> Self {
        anyhow::Error::from(shared).into()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code.name())
    }
}

impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        self.code.status()
    }

    /// Returns an empty response; [`super::respond`] adds the body in the request's language.
    fn error_response(&self) -> HttpResponse {
        HttpResponse::new(self.status_code())
    }
}
