//! Where layers come from: the files, the environment, the flags. The only I/O of `config`.

use std::io::Read as _;

use camino::{Utf8Path, Utf8PathBuf};

use super::load::{Layer, VARIABLE_PREFIX};

/// A configuration file that is larger is not one.
pub const FILE_BYTES_MAX: u64 = 1 << 20;

/// Why a layer could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The file is there and cannot be read.
    #[error("cannot read `{path}`")]
    Read {
        /// The file.
        path: Utf8PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Not a text.
    #[error("`{path}` is not UTF-8 text")]
    NotText {
        /// The file.
        path: Utf8PathBuf,
    },
    /// Beyond [`FILE_BYTES_MAX`].
    #[error("`{path}` is larger than 1 MiB, too large for a configuration")]
    TooLarge {
        /// The file.
        path: Utf8PathBuf,
    },
    /// A variable for us that is not UTF-8.
    #[error("the variable `{name}` is not UTF-8 text")]
    Variable {
        /// The variable.
        name: String,
    },
}

/// Where to look.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    /// `$XDG_CONFIG_HOME/sprint/config.toml`.
    pub user_file: Option<Utf8PathBuf>,
    /// `<repository>/sprint.toml`.
    pub repository_file: Option<Utf8PathBuf>,
    /// The environment; only `SPRINT_CONFIG__…` is looked at.
    pub variables: Vec<(std::ffi::OsString, std::ffi::OsString)>,
    /// Flags, as (dotted key, value).
    pub flags: Vec<(String, String)>,
}

impl Sources {
    /// The usual places: `repository` is the root of the checkout, `variables` the environment of
    /// the process.
    pub fn usual(
        repository: Option<&Utf8Path>,
        variables: Vec<(std::ffi::OsString, std::ffi::OsString)>,
        flags: Vec<(String, String)>,
    ) -> Self {
        let variable = |name: &str| {
            let found = variables.iter().find(|(key, _)| key == name)?;
            found.1.to_str().filter(|text| text.starts_with('/')).map(Utf8PathBuf::from)
        };
        let home = variable("XDG_CONFIG_HOME").or_else(|| Some(variable("HOME")?.join(".config")));
        Self {
            user_file: home.map(|home| home.join("sprint/config.toml")),
            repository_file: repository.map(|root| root.join("sprint.toml")),
            variables,
            flags,
        }
    }

    /// Reads the layers; a file that is not there is none.
    ///
    /// # Errors
    /// A file or variable that is there and cannot be read.
    pub fn read(&self) -> Result<Vec<Layer>, SourceError> {
        let mut layers = Vec::new();
        for path in [&self.user_file, &self.repository_file].into_iter().flatten() {
            layers.extend(read_file(path)?);
        }
        layers.push(Layer::environment(our_variables(&self.variables)?));
        layers.push(Layer::flags(self.flags.clone()));
        Ok(layers)
    }
}

fn read_file(path: &Utf8Path) -> Result<Option<Layer>, SourceError> {
    let failed = |source| SourceError::Read { path: path.to_owned(), source };
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(SourceError::TooLarge { path: path.to_owned() });
    }
    let text = String::from_utf8(bytes).map_err(|_| SourceError::NotText { path: path.to_owned() })?;
    Ok(Some(Layer::toml(path.as_str(), text)))
}

fn our_variables(
    variables: &[(std::ffi::OsString, std::ffi::OsString)],
) -> Result<Vec<(String, String)>, SourceError> {
    let ours = variables.iter().filter(|(name, _)| name.to_string_lossy().starts_with(VARIABLE_PREFIX));
    ours.map(|(name, value)| match (name.to_str(), value.to_str()) {
        (Some(name), Some(value)) => Ok((name.to_owned(), value.to_owned())),
        _ => Err(SourceError::Variable { name: name.to_string_lossy().into_owned() }),
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> Vec<(std::ffi::OsString, std::ffi::OsString)> {
        pairs.iter().map(|(name, value)| (name.into(), value.into())).collect()
    }

    #[test]
    fn the_usual_places_in_their_order() {
        let dir = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(dir.path()).unwrap();
        std::fs::create_dir_all(root.join("home/.config/sprint")).unwrap();
        std::fs::write(root.join("home/.config/sprint/config.toml"), "[agents]\nmax_testers = 9").unwrap();
        std::fs::write(root.join("sprint.toml"), "[agents]\nmax_developers = 9").unwrap();
        let home = root.join("home");
        let environment = variables(&[
            ("HOME", home.as_str()),
            ("SPRINT_CONFIG__agents__max_in_flight", "5"),
            ("OTHER", "x"),
        ]);
        let flags = vec![("roles.developer.agent".to_owned(), "scripted".to_owned())];
        let layers = Sources::usual(Some(root), environment, flags).read().unwrap();
        assert_eq!(layers.len(), 4);
        let config = super::super::load(&layers).unwrap();
        let agents = config.agents;
        assert_eq!((agents.max_testers, agents.max_developers, agents.max_in_flight), (9, 9, 5));
    }

    #[test]
    fn no_file_is_no_layer_and_a_bad_one_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(dir.path()).unwrap();
        assert_eq!(Sources::usual(Some(root), Vec::new(), Vec::new()).read().unwrap().len(), 2);
        std::fs::write(root.join("sprint.toml"), [0xff, 0xfe]).unwrap();
        let error = Sources::usual(Some(root), Vec::new(), Vec::new()).read().unwrap_err();
        assert!(matches!(error, SourceError::NotText { .. }), "{error}");
        std::fs::write(root.join("sprint.toml"), vec![b'#'; (1 << 20) + 1]).unwrap();
        let error = Sources::usual(Some(root), Vec::new(), Vec::new()).read().unwrap_err();
        assert!(matches!(error, SourceError::TooLarge { .. }), "{error}");
        std::fs::remove_file(root.join("sprint.toml")).unwrap();
        std::fs::create_dir(root.join("sprint.toml")).unwrap();
        let error = Sources::usual(Some(root), Vec::new(), Vec::new()).read().unwrap_err();
        assert!(matches!(error, SourceError::Read { .. }), "{error}");
    }
}
