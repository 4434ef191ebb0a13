//! The closed vocabularies of the inventory. Each is stored and sent as its snake_case word, which
//! stands beside it because the database and the API must agree.

use serde::{Deserialize, Serialize};

macro_rules! vocabulary {
    ($($(#[$doc:meta])* $name:ident { $($variant:ident = $text:literal),+ $(,)? })+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($variant),+ }

        impl $name {
            pub const ALL: &'static [$name] = &[$($name::$variant),+];

            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text),+ }
            }

            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some($name::$variant),)+ _ => None }
            }
        }
    )+

    #[cfg(test)]
    mod tests {
        #[test]
        fn what_is_sent_is_what_is_stored_and_reads_back() {
            $(for word in super::$name::ALL {
                let sent = serde_json::to_string(word).expect("a word is JSON");
                assert_eq!(sent, format!("\"{}\"", word.as_str()));
                assert_eq!(super::$name::parse(word.as_str()), Some(*word));
            })+
        }
    }
    };
}

vocabulary! {
    AssetKind {
        Device = "device", Compute = "compute", Service = "service", Storage = "storage",
        Cluster = "cluster", External = "external", Other = "other",
    }
    AssetStatus {
        Up = "up", Degraded = "degraded", Down = "down", NotSeen = "not_seen", Unknown = "unknown",
        Maintenance = "maintenance",
    }
    /// Where a row came from: a person or a scan.
    Source { Manual = "manual", Discovered = "discovered" }
    LinkKind {
        Ethernet = "ethernet", Wifi = "wifi", Virtual = "virtual", Dependency = "dependency",
        Other = "other",
    }
    /// How certain a link is: seen by a device, concluded from observations, guessed from the structure of the network,
    /// or drawn by a person.
    LinkEvidence {
        Measured = "measured", Inferred = "inferred", Assumed = "assumed", Drawn = "drawn",
    }
    Protocol { Tcp = "tcp", Udp = "udp" }
    WebScheme { Http = "http", Https = "https" }
    FindingKind { NewAsset = "new_asset", Change = "change" }
    /// How findings can be grouped: by the network in which they were seen, by the kind or the role of the proposed
    /// asset, or by whether the asset is new.
    FindingGrouping { Network = "network", Kind = "kind", Role = "role", Change = "change" }
    FindingState { Open = "open", Accepted = "accepted", Ignored = "ignored" }
    ScanStatus {
        Queued = "queued", Running = "running", Completed = "completed", Partial = "partial",
        Cancelled = "cancelled", Failed = "failed",
    }
}

impl ScanStatus {
    pub fn is_over(self) -> bool {
        !matches!(self, ScanStatus::Queued | ScanStatus::Running)
    }
}
