//! Access to PostgreSQL.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, bail, ensure};
use clap::{Args, ValueEnum, value_parser};
use secrecy::{ExposeSecret as _, SecretString};
use tokio_postgres::config::Host;
use url::form_urlencoded;

/// Maximum wait for a server to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Database settings.
#[derive(Debug, Clone, Args)]
#[group(skip)]
#[command(next_help_heading = "Database")]
pub struct Settings {
    /// URL of the database; overrides all `DB_…` variables
    #[arg(long, env, hide_env_values = true, value_name = "URL")]
    pub database_url: Option<SecretString>,
    /// Host of the PostgreSQL server
    #[arg(long, env, default_value = "localhost", value_name = "HOST")]
    pub db_host: String,
    /// Port of the PostgreSQL server
    #[arg(long, env, default_value_t = 5432, value_name = "PORT")]
    pub db_port: u16,
    /// Name of the database
    #[arg(long, env, default_value = "anb", value_name = "NAME")]
    pub db_name: String,
    /// Database user
    #[arg(long, env, default_value = "postgres", value_name = "USER")]
    pub db_user: String,
    /// Password of that user
    #[arg(long, env, hide_env_values = true, value_name = "SECRET")]
    pub db_password: Option<SecretString>,
    /// Encryption of the connection
    #[arg(long, env, default_value = "disable", value_name = "MODE")]
    pub db_ssl_mode: SslMode,
    /// PEM file with the certificate authorities for `verify-full`; if unset, the system's
    #[arg(long, env, value_name = "FILE")]
    pub db_ssl_root_cert: Option<PathBuf>,
    /// Maximum connections of this process; an API has one more, which counts votes
    #[arg(long, env, default_value_t = 16, value_name = "COUNT",
          value_parser = value_parser!(u16).range(1..))]
    pub db_pool_size: u16,
}

/// Owner of the database, if the program connects as another user.
#[derive(Debug, Clone, Args)]
#[group(skip)]
#[command(next_help_heading = "Database")]
pub struct Owner {
    /// User that owns the tables and may create users; if unset, `DB_USER` migrates. If set, it
    /// migrates, and gives the rows to `DB_USER` with `DB_PASSWORD`
    #[arg(long, env, value_name = "USER")]
    pub db_owner_user: Option<String>,
    /// Password of that user
    #[arg(long, env, hide_env_values = true, value_name = "SECRET")]
    pub db_owner_password: Option<SecretString>,
}

/// Encryption of the connection to the database; the names are libpq's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SslMode {
    /// No encryption.
    Disable,
    /// Encrypted; the server's certificate is not checked.
    Require,
    /// Encrypted; the certificate must be trusted and name the host.
    VerifyFull,
}

/// Parameters for opening a connection.
#[derive(Debug, Clone)]
pub struct Endpoint {
    pub postgres: tokio_postgres::Config,
    pub ssl_mode: SslMode,
    pub ssl_root_cert: Option<PathBuf>,
    /// The variables that name the database, and its address without the password, for messages.
    pub place: String,
}

impl Settings {
    pub fn at(url: &str) -> Self {
        Self {
            database_url: Some(SecretString::from(url)),
            db_host: String::new(),
            db_port: 0,
            db_name: String::new(),
            db_user: String::new(),
            db_password: None,
            db_ssl_mode: SslMode::Disable,
            db_ssl_root_cert: None,
            db_pool_size: 16,
        }
    }

    /// Returns these settings with another user.
    pub fn with_user(&self, user: &str, password: Option<SecretString>) -> anyhow::Result<Self> {
        ensure!(
            self.database_url.is_none(),
            "DB_OWNER_USER: name the program's user by DB_USER and DB_PASSWORD instead of DATABASE_URL"
        );
        ensure!(
            self.db_user != user,
            "DB_OWNER_USER: the program must connect as another user: set DB_USER"
        );
        Ok(Self {
            db_user: user.to_owned(),
            db_password: password,
            ..self.clone()
        })
    }

    pub fn validate(&self) -> anyhow::Result<()> {
        self.endpoint().map(drop)
    }

    /// Returns the address from `DATABASE_URL` or, if it is unset, from the `DB_…` variables.
    pub fn endpoint(&self) -> anyhow::Result<Endpoint> {
        let mut endpoint = match &self.database_url {
            Some(url) => self.endpoint_from_url(url.expose_secret())?,
            None => self.endpoint_from_parts(),
        };
        endpoint
            .postgres
            .connect_timeout(CONNECT_TIMEOUT)
            .application_name("anb");
        if endpoint.ssl_mode != SslMode::Disable {
            endpoint
                .postgres
                .ssl_mode(tokio_postgres::config::SslMode::Require);
        }
        endpoint.place = format!("{} ({})", self.variables(), address(&endpoint.postgres));
        ensure!(
            endpoint.ssl_root_cert.is_none() || endpoint.ssl_mode == SslMode::VerifyFull,
            "DB_SSL_ROOT_CERT is set, but only DB_SSL_MODE=verify-full checks certificates"
        );
        Ok(endpoint)
    }

    pub fn variables(&self) -> &'static str {
        match self.database_url {
            Some(_) => "DATABASE_URL",
            None => "DB_HOST, DB_PORT, DB_NAME",
        }
    }

    fn endpoint_from_parts(&self) -> Endpoint {
        let mut postgres = tokio_postgres::Config::new();
        postgres
            .host(&self.db_host)
            .port(self.db_port)
            .dbname(&self.db_name)
            .user(&self.db_user);
        if let Some(password) = &self.db_password {
            postgres.password(password.expose_secret());
        }
        Endpoint {
            postgres,
            ssl_mode: self.db_ssl_mode,
            ssl_root_cert: self.db_ssl_root_cert.clone(),
            place: String::new(),
        }
    }

    /// Parses a URL as libpq does. tokio-postgres knows neither `sslmode=verify-full` nor
    /// `sslrootcert`, so these two are removed before it parses the URL.
    fn endpoint_from_url(&self, url: &str) -> anyhow::Result<Endpoint> {
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let mut ssl_mode = self.db_ssl_mode;
        let mut ssl_root_cert = self.db_ssl_root_cert.clone();
        let mut rest = form_urlencoded::Serializer::new(String::new());
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match name.as_ref() {
                "sslmode" => {
                    ssl_mode = match SslMode::from_str(&value, false) {
                        Ok(mode) => mode,
                        Err(_) => bail!(
                            "DATABASE_URL: sslmode={value} is not one of disable, require, verify-full"
                        ),
                    }
                }
                "sslrootcert" => ssl_root_cert = Some(PathBuf::from(value.as_ref())),
                _ => {
                    rest.append_pair(&name, &value);
                }
            }
        }
        // A form encodes a space as `+`, which libpq's URLs take literally.
        let rest = rest.finish().replace('+', "%20");
        let postgres = format!("{base}?{rest}")
            .parse()
            .context("DATABASE_URL: write postgres://user:password@host:5432/database")?;
        Ok(Endpoint {
            postgres,
            ssl_mode,
            ssl_root_cert,
            place: String::new(),
        })
    }
}

/// Returns the address as `host:port/database` or `socket/database`, with all hosts.
fn address(postgres: &tokio_postgres::Config) -> String {
    let ports = postgres.get_ports();
    let port = |index| ports.get(index).or(ports.first()).unwrap_or(&5432);
    let hosts = postgres.get_hosts().iter().enumerate();
    let places: Vec<_> = hosts
        .map(|(index, host)| match host {
            Host::Tcp(name) => format!("{name}:{}", port(index)),
            Host::Unix(folder) => format!("{}/.s.PGSQL.{}", folder.display(), port(index)),
        })
        .collect();
    let database = postgres.get_dbname().or(postgres.get_user());
    format!("{}/{}", places.join(","), database.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_names_variables_and_address_without_the_password() {
        let place = |settings: Settings| settings.endpoint().unwrap().place;
        for (url, expected) in [
            ("postgres://ana:hunter2@db:6000/anb", "db:6000/anb"),
            ("postgres://ana:hunter2@one:1,two:2/anb", "one:1,two:2/anb"),
            ("postgres://ana@db", "db:5432/ana"),
            (
                "postgres:///anb?host=/run/pg&port=5433&user=a",
                "/run/pg/.s.PGSQL.5433/anb",
            ),
        ] {
            let named = place(Settings::at(url));
            assert_eq!(named, format!("DATABASE_URL ({expected})"));
        }
        let parts = Settings {
            database_url: None,
            db_host: "db".to_owned(),
            db_port: 5432,
            db_name: "anb".to_owned(),
            ..Settings::at("")
        };
        assert_eq!(place(parts), "DB_HOST, DB_PORT, DB_NAME (db:5432/anb)");
    }

    #[test]
    fn a_url_takes_precedence_and_its_ssl_parameters_apply() {
        let settings = Settings::at(
            "postgres://ana:s%20e@db.example:6000/anb?sslmode=verify-full&sslrootcert=/ca.pem&options=-c%20a%3Db",
        );
        let endpoint = settings.endpoint().unwrap();
        assert_eq!(endpoint.ssl_mode, SslMode::VerifyFull);
        assert_eq!(endpoint.ssl_root_cert.as_deref(), Some("/ca.pem".as_ref()));
        assert_eq!(endpoint.postgres.get_password(), Some("s e".as_bytes()));
        assert_eq!(endpoint.postgres.get_options(), Some("-c a=b"));
        assert_eq!(endpoint.postgres.get_ports(), [6000]);
    }

    #[test]
    fn an_invalid_url_names_the_variable_and_hides_the_password() {
        for url in [
            "postgres://ana:hunter2@host:port/anb",
            "postgres://h/d?sslmode=prefer",
            "nonsense",
        ] {
            let error = format!("{:#}", Settings::at(url).validate().unwrap_err());
            assert!(error.starts_with("DATABASE_URL: "), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_root_certificate_requires_verification() {
        let error = Settings::at("postgres://h/d?sslmode=require&sslrootcert=ca.pem").validate();
        assert!(error.unwrap_err().to_string().contains("DB_SSL_ROOT_CERT"));
    }
}
