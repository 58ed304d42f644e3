//! The shell client of `deploy/clients`, against an authorization server that has never heard of it.

use std::process::{Command, Output};

use super::{Stage, root};

fn script(stage: &Stage, name: &str) -> Command {
    let mut command = Command::new("bash");
    let (id, secret) = stage.provider.machine();
    let tools = root().join("target/deploy/bin");
    let path = std::env::var_os("PATH").unwrap().into_string().unwrap();
    command
        .arg(root().join("deploy/clients").join(name))
        .env("PATH", format!("{}:{path}", tools.display()))
        .env("MCP_URL", stage.ground.resource())
        .env("CA_FILE", &stage.ground.certificate.authority)
        .env("CLIENT_ID", id)
        .env("CLIENT_SECRET", secret);
    command
}

#[track_caller]
fn succeeds(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let told = String::from_utf8(stdout).unwrap();
    assert!(status.success(), "{told}\n{}", String::from_utf8_lossy(&stderr));
    told
}

#[track_caller]
fn complains(command: &mut Command, of: &str) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let told = String::from_utf8(stderr).unwrap();
    assert_eq!((status.code(), &*stdout), (Some(1), &b""[..]), "{told}");
    assert!(told.contains(of), "{told}");
}

#[test]
fn the_shell_client_gets_a_token_and_calls_tools() {
    let stage = Stage::set();
    let token = succeeds(&mut script(&stage, "get_token.sh"));
    let call = |tool: &str, arguments: &str| {
        let mut command = script(&stage, "call_tool.sh");
        command.args([tool, arguments]).env("ACCESS_TOKEN", token.trim());
        command
    };
    let whoami = succeeds(&mut call("whoami", "{}"));
    assert!(whoami.contains("verified"), "{whoami}");
    let quotes = r#"{"message":"it's \"quoted\" $HOME"}"#;
    let echo = succeeds(&mut call("echo", quotes));
    assert!(echo.contains(r#"it's \"quoted\" $HOME"#), "{echo}");
    complains(&mut call("no-such-tool", "{}"), "tool not found");
    complains(&mut call("echo", "[]"), "not a JSON object");
    complains(call("whoami", "{}").env("ACCESS_TOKEN", "bad"), "invalid_token");
    complains(script(&stage, "get_token.sh").env("CLIENT_SECRET", "wrong"), "invalid_client");
    complains(script(&stage, "get_token.sh").env("CA_FILE", "/dev/null"), "no metadata");
}

#[test]
fn its_example_runs_and_its_own_test_finds_nothing_wrong() {
    let stage = Stage::set();
    let told = succeeds(&mut script(&stage, "full_example.sh"));
    for part in ["resource_metadata=", "authorization_servers", "whoami", "verified"] {
        assert!(told.contains(part), "{part} in {told}");
    }
    let told = succeeds(&mut script(&stage, "test.sh"));
    assert_eq!(told.lines().filter(|line| line.starts_with("ok ")).count(), 8, "{told}");
}
