//! cb-fabric
