//! From the configuration to the listener: all that is wrong at once, or everything at work.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::harness::{Identity, Process, postern, wait_until};

/// A good configuration, line by line, to be spoiled.
struct Settings {
    lines: Vec<(&'static str, String)>,
    directory: TempDir,
}

/// How a start ended.
struct Refused {
    code: Option<i32>,
    told: String,
}

impl Settings {
    fn good() -> Self {
        let lines = [
            ("listen", "127.0.0.1:0"),
            ("tls", "off"),
            ("admin", "{listen: '127.0.0.1:0'}"),
            ("resource", "{url: 'https://mcp.example/mcp'}"),
            ("issuers", "[{issuer: 'https://auth.example'}]"),
            ("upstream", "{address: '127.0.0.1:9'}"),
        ];
        let lines = lines.map(|(key, value)| (key, value.to_owned())).to_vec();
        Self { lines, directory: tempfile::tempdir().unwrap() }
    }

    fn with(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.lines.retain(|(name, _)| *name != key);
        self.lines.push((key, value.into()));
        self
    }

    fn without(mut self, key: &str) -> Self {
        self.lines.retain(|(name, _)| *name != key);
        self
    }

    fn tls(self, certificate: &Path, key: &Path) -> Self {
        let (certificate, key) = (certificate.display(), key.display());
        self.with("tls", format!("{{certificate: '{certificate}', key: '{key}'}}"))
    }

    /// A file with this content beside the configuration.
    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    fn command(&self) -> Command {
        let lines: Vec<_> =
            self.lines.iter().map(|(key, value)| format!("{key}: {value}")).collect();
        let mut command = postern();
        command.args(["run", "--config"]).arg(self.file("postern.yaml", &lines.join("\n")));
        command
    }

    #[track_caller]
    fn refused(&self) -> Refused {
        refused(self.command())
    }

    /// With this in the environment.
    #[track_caller]
    fn refused_where(&self, variable: &str, value: &str) -> Refused {
        let mut command = self.command();
        command.env(variable, value);
        refused(command)
    }
}

/// Waits for a start that fails.
#[track_caller]
fn refused(mut command: Command) -> Refused {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("told");
    let told = fs::File::create(&path).unwrap();
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(told);
    let mut process = Process(command.spawn().unwrap());
    wait_until("the proxy gives up", || process.0.try_wait().unwrap().is_some());
    let code = process.0.wait().unwrap().code();
    Refused { code, told: fs::read_to_string(&path).unwrap() }
}

/// An address that somebody else listens on.
fn taken() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

#[track_caller]
fn is_told(refused: &Refused, texts: &[&str]) {
    assert_eq!(refused.code, Some(78), "{}", refused.told);
    for text in texts {
        assert!(refused.told.contains(text), "{text:?} is not in\n{}", refused.told);
    }
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let (_listener, address) = taken();
    let refused = Settings::good()
        .with("listen", address.to_string())
        .with("resource", "{url: 'http://mcp.example/mcp', scopes: ['a b']}")
        .with("limits", "{header_timeout: 300, colour: red}")
        .with("lisen", "127.0.0.1:1")
        .without("issuers")
        .refused();
    is_told(
        &refused,
        &[
            "postern.yaml: 6 problems in the configuration\n",
            "line 5: resource.url: \"http://mcp.example/mcp\"\n    why: plain http is for loopback \
             only\n    fix: write https\n",
            "line 5: resource.scopes[0]: \"a b\"\n    why: ",
            "line 6: limits.header_timeout: \"300\"\n    why: ",
            "line 6: limits.colour\n    why: there is no such setting\n    fix: ",
            "line 7: lisen\n    why: there is no such setting\n    fix: write listen, or",
            "issuers\n    why: it is missing\n    fix: ",
        ],
    );
    assert!(!refused.told.contains("cannot be used"), "binding was tried:\n{}", refused.told);
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let mut command = postern();
    command.args(["run", "--config", "/no/such/postern.yaml"]);
    is_told(
        &refused(command),
        &["/no/such/postern.yaml: ", "the file cannot be read", "--config FILE"],
    );
}

#[test]
fn a_file_that_is_no_yaml_is_told_where() {
    let refused = Settings::good().with("issuers", "[{").refused();
    is_told(&refused, &["1 problem", "line ", "fix: make it valid YAML"]);
}

#[test]
fn an_empty_file_lacks_everything_that_has_no_default() {
    let mut settings = Settings::good();
    settings.lines.clear();
    is_told(&settings.refused(), &["tls\n", "resource\n", "issuers\n", "upstream\n"]);
}

#[test]
fn without_a_file_the_usage_is_told() {
    let mut command = postern();
    command.arg("run");
    let refused = refused(command);
    assert_eq!(refused.code, Some(2));
    assert!(refused.told.contains("--config <FILE>"), "{}", refused.told);
}

#[test]
fn a_certificate_that_is_not_there_is_named() {
    let missing = Path::new("/no/such/tls.crt");
    let refused = Settings::good().tls(missing, Path::new("/no/such/tls.key")).refused();
    is_told(&refused, &["tls: ", "/no/such/tls.crt", "cannot be read"]);
}

#[test]
fn a_certificate_that_is_none_is_named() {
    let identity = Identity::new();
    let settings = Settings::good();
    let garbled = settings.file("garbled.crt", "-----BEGIN CERTIFICATE-----\n~\n");
    let refused = settings.tls(&garbled, &identity.certificate.key).refused();
    is_told(&refused, &["tls: ", "garbled.crt"]);

    let settings = Settings::good();
    let empty = settings.file("empty.crt", "");
    let refused = settings.tls(&empty, &identity.certificate.key).refused();
    is_told(&refused, &["empty.crt: it holds no certificate"]);

    let settings = Settings::good();
    let empty = settings.file("empty.key", "");
    let refused = settings.tls(&identity.certificate.chain, &empty).refused();
    is_told(&refused, &["empty.key"]);
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let (one, other) = (Identity::new(), Identity::new());
    let refused = Settings::good().tls(&one.certificate.chain, &other.certificate.key).refused();
    is_told(&refused, &["cert.pem and its key do not belong together"]);
    assert!(!refused.told.contains("PRIVATE KEY"));
}

#[test]
fn a_file_of_authorities_without_one_is_named() {
    let settings = Settings::good();
    let missing = settings.directory.path().join("company.pem");
    let empty = settings.file("empty.pem", "nothing");
    for (path, why) in [(missing, "it cannot be read"), (empty, "it holds no certificate")] {
        let path = path.display().to_string();
        let refused = Settings::good().with("outbound", format!("{{ca_file: '{path}'}}")).refused();
        is_told(&refused, &["outbound.ca_file: ", &path, why]);
    }
}

#[test]
fn an_address_that_is_taken_is_named() {
    let (_listener, address) = taken();
    let refused = Settings::good().with("listen", address.to_string()).refused();
    is_told(&refused, &[&format!("listen: {address} cannot be used: ")]);
    let admin = format!("{{listen: '{address}'}}");
    let refused = Settings::good().with("admin", admin).refused();
    is_told(&refused, &[&format!("admin.listen: {address} cannot be used: ")]);
}

#[test]
fn what_a_reference_stands_for_is_never_printed() {
    let settings = Settings::good();
    let secret = settings.file("secret", "hunter2\n").display().to_string();
    let refused = settings
        .with("listen", "${SECRET}")
        .with("resource", format!("{{url: '${{file:{secret}}}', scopes: ['${{SECRET}} x']}}"))
        .with("issuers", "[{issuer: '${SECRET}', algorithms: ['${SECRET}']}]")
        .with("upstream", "{address: 'x${SECRET}'}")
        .with("log", "{level: '${SECRET}'}")
        .with("shutdown_timeout", "${NO_SUCH_VARIABLE}")
        .refused_where("SECRET", "hunter2");
    is_told(
        &refused,
        &["8 problems", "listen: \"${SECRET}\"", &secret, "variable NO_SUCH_VARIABLE is not set"],
    );
    assert!(!refused.told.contains("hunter2"), "{}", refused.told);
}

#[test]
fn nor_where_two_settings_disagree_about_it() {
    for (key, value, secret) in [
        ("upstream", "{address: '${SECRET}'}", "10.0.0.1:80"),
        ("issuers", "[{issuer: '${SECRET}'}, {issuer: '${SECRET}'}]", "https://auth.example"),
        ("resource", "{url: '${SECRET}'}", "https://mcp.example:443/mcp"),
        ("forward", "{claims: {a: '${SECRET}', b: '${SECRET}', c: '${SECRET} '}}", "X-Secret"),
    ] {
        let refused = Settings::good().with(key, value).refused_where("SECRET", secret);
        is_told(&refused, &["${SECRET}"]);
        let told = refused.told.to_lowercase();
        assert!(!told.contains(&secret.to_lowercase()), "{told}");
    }
}

/// The same command, under a limit on open files.
fn limited(settings: &Settings, limit: &str) -> Command {
    let command = settings.command();
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("ulimit {limit} && exec \"$0\" \"$@\"")]);
    shell.arg(command.get_program()).args(command.get_args());
    shell
}

/// Strangers' connections would use them up, and then no revocation could be read.
#[test]
fn open_files_are_as_many_as_connections_may_need_or_nothing_starts() {
    let refused = refused(limited(&Settings::good(), "-n 1024"));
    is_told(&refused, &["limits.connections: 4096 connections", "12544", "1024", "LimitNOFILE"]);

    let settings = Settings::good().with("limits", "{connections: 200}");
    let mut proxy = limited(&settings, "-Sn 128");
    let mut proxy = Process(proxy.stderr(Stdio::null()).spawn().unwrap());
    let limits = format!("/proc/{}/limits", proxy.0.id());
    wait_until("the limit is raised", || {
        assert!(proxy.0.try_wait().unwrap().is_none());
        let limits = fs::read_to_string(&limits).unwrap();
        let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
        let numbers: Vec<&str> = line.split_whitespace().skip(3).take(2).collect();
        numbers[0] == numbers[1]
    });
}
