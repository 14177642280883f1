//! The pages that show how Drover is used are run as they stand.

use anyhow::{Context, Result, ensure};
use drover_suite::{
    api_server::{root, tool},
    console,
    installed::{Frameworks, installed},
};

#[tokio::test]
async fn the_quickstart_does_what_it_says() -> Result<()> {
    let installed = installed(Frameworks::Default).await?;
    let programs = tool("../../target/x86_64-unknown-linux-musl/debug");
    let path = format!("{}:{}:{}", tool("").display(), programs.display(), std::env::var("PATH")?);
    let kubeconfig = installed.kubeconfig().display().to_string();
    let home = tempfile::tempdir()?;
    let home = home.path().display().to_string();
    let environment = [("PATH", path.as_str()), ("KUBECONFIG", &kubeconfig), ("HOME", &home)];
    let pages = pages()?;
    ensure!(!pages.is_empty(), "there is no quickstart");
    for page in pages {
        let text = std::fs::read_to_string(&page)?;
        console::run(&text, &root(), &environment).await.with_context(|| page.display().to_string())?;
    }
    Ok(())
}

/// docs/quickstart.md, and what is in docs/quickstart/, in the order of their names.
fn pages() -> Result<Vec<std::path::PathBuf>> {
    let mut pages = vec![root().join("docs/quickstart.md")];
    let folder = root().join("docs/quickstart");
    if folder.is_dir() {
        for entry in std::fs::read_dir(folder)? {
            pages.push(entry?.path());
        }
    }
    pages.retain(|page| page.extension().is_some_and(|extension| extension == "md"));
    pages.sort();
    Ok(pages)
}
