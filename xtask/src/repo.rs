//! Reading the work tree.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

pub struct Repo {
    root: PathBuf,
}

impl Repo {
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The text of a file, named from the root.
    pub fn text(&self, path: &str) -> anyhow::Result<String> {
        std::fs::read_to_string(self.root.join(path)).with_context(|| format!("{path} cannot be read"))
    }

    pub fn toml(&self, path: &str) -> anyhow::Result<toml::Table> {
        self.text(path)?.parse().with_context(|| format!("{path} is not TOML"))
    }

    /// The names in a folder, sorted.
    pub fn names(&self, folder: &str) -> anyhow::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in
            std::fs::read_dir(self.root.join(folder)).with_context(|| format!("{folder} cannot be read"))?
        {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }

    /// Every Rust file under a folder, at any depth, named from the root and sorted.
    pub fn rust_files(&self, folder: &str) -> anyhow::Result<Vec<String>> {
        let mut files = Vec::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            for name in self.names(&folder)? {
                let path = format!("{folder}/{name}");
                if self.root.join(&path).is_dir() {
                    folders.push(path);
                } else if Path::new(&path).extension().is_some_and(|e| e == "rs") {
                    files.push(path);
                }
            }
        }
        files.sort();
        Ok(files)
    }
}
