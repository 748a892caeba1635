//! stub
use super::*;
pub struct EdgeOptions { pub dir: std::path::PathBuf, pub dimension: usize }
impl EdgeOptions { pub fn new(dir: std::path::PathBuf, dimension: usize) -> Self { Self{dir, dimension} } }
pub struct EdgeIndex;
impl EdgeIndex { pub fn open(_: EdgeOptions) -> Result<Self, VectorError> { unimplemented!() } }
impl VectorStore for EdgeIndex {
    fn watermark(&self) -> Seq { unimplemented!() }
    fn apply(&self, _: Vec<VectorChange>, _: Seq) -> Result<(), VectorError> { unimplemented!() }
    fn search(&self, _: &[f32], _: &Scope, _: usize) -> Result<Vec<VectorHit>, VectorError> { unimplemented!() }
    fn score(&self, _: &[f32], _: &[ChunkId]) -> Result<Vec<VectorHit>, VectorError> { unimplemented!() }
    fn contents(&self) -> Result<Vec<(ChunkId, VersionId)>, VectorError> { unimplemented!() }
    fn wants_rebuild(&self) -> bool { unimplemented!() }
    fn optimize(&self) -> Result<bool, VectorError> { unimplemented!() }
}
