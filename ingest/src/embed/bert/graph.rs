//! The BERT encoder (Devlin et al. 2018) as an ONNX graph, node by node, in the shape that ONNX Runtime's CPU kernels like best.
//!
//! Q, K and V are one product. Each product with int8 weights is one `DynamicQuantizeMatMul`: activations are quantised to eight
//! bits a tensor on the way in, weights carry one scale an output column. Biases ride along with the operator that comes next.

use ort::editor::{Graph, Model, Node, ONNX_DOMAIN, Opset};
use ort::memory::Allocator;
use ort::operator::Attribute;
use ort::value::{Outlet, PrimitiveTensorElementType, Shape, SymbolicDimensions, Tensor, TensorElementType, ValueType};

use super::super::EmbedError;
use super::super::runtime::failed;
use super::{EPSILON, HEADS, HIDDEN, INNER, Kernel, LAYERS, Weights};

/// The domain of ONNX Runtime's own operators.
const MICROSOFT: &str = "com.microsoft";

/// What the graph takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Form {
    /// `hidden` of one text: no padding, so no mask.
    Single,
    /// `hidden` of several, padded; `mask` (1 is a word piece, 0 padding) and `shares` (1 / length, 0 at padding) beside it.
    Batch,
}

/// Builds the graph. Its output is `pooled`, the mean of the last hidden states, not normalised.
pub(in super::super) fn session_model(weights: &Weights, kernel: Kernel, form: Form) -> Result<Model, EmbedError> {
    let mut builder = Builder { graph: Graph::new().map_err(failed)?, weights, kernel };
    builder.interface(form)?;
    let mask = if form == Form::Batch { "mask" } else { "" };

    let mut x = builder.layer_norm("hidden", "embeddings.LayerNorm")?;
    builder.integers("thirds", &[HIDDEN as i64; 3])?;
    for layer in 0..LAYERS {
        let name = format!("encoder.layer.{layer}");
        x = builder.attention(&name, &x, mask)?;
        x = builder.feed_forward(&name, &x)?;
    }
    match form {
        Form::Single => {
            builder.integers("words", &[1])?;
            let flat = Attribute::new("keepdims", 0i64).map_err(failed)?;
            builder.node("ReduceMean", ONNX_DOMAIN, &[&x, "words"], &["pooled"], [flat])?;
        }
        Form::Batch => builder.node("MatMul", ONNX_DOMAIN, &["shares", &x], &["pooled"], [])?,
    }

    let opsets = [Opset::new(ONNX_DOMAIN, 20).map_err(failed)?, Opset::new(MICROSOFT, 1).map_err(failed)?];
    let mut model = Model::new(opsets).map_err(failed)?;
    model.set_graph(builder.graph).map_err(failed)?;
    Ok(model)
}

struct Builder<'a> {
    graph: Graph,
    weights: &'a Weights,
    kernel: Kernel,
}

impl Builder<'_> {
    fn interface(&mut self, form: Form) -> Result<(), EmbedError> {
        let hidden = HIDDEN as i64;
        let (inputs, output) = match form {
            Form::Single => (
                vec![outlet("hidden", TensorElementType::Float32, &[1, -1, hidden])],
                outlet("pooled", TensorElementType::Float32, &[1, hidden]),
            ),
            Form::Batch => (
                vec![
                    outlet("hidden", TensorElementType::Float32, &[-1, -1, hidden]),
                    outlet("mask", TensorElementType::Int32, &[-1, -1]),
                    outlet("shares", TensorElementType::Float32, &[-1, 1, -1]),
                ],
                outlet("pooled", TensorElementType::Float32, &[-1, 1, hidden]),
            ),
        };
        self.graph.set_inputs(inputs).map_err(failed)?;
        self.graph.set_outputs([output]).map_err(failed)
    }

    /// Self-attention with its residual connection and LayerNorm.
    fn attention(&mut self, layer: &str, x: &str, mask: &str) -> Result<String, EmbedError> {
        let parts = ["query", "key", "value"].map(|part| format!("{layer}.attention.self.{part}"));
        let both = self.product(&format!("{layer}.qkv"), x, &[&parts[0], &parts[1], &parts[2]], [HIDDEN, HIDDEN])?;
        let mut biases = Vec::with_capacity(3 * HIDDEN);
        for part in &parts {
            biases.extend(self.weights.floats(&format!("{part}.bias"), &[HIDDEN])?);
        }
        let bias = format!("{layer}.qkv.bias");
        self.constant(&bias, &[3 * HIDDEN], &biases)?;

        let [q, k, v] = ["q", "k", "v"].map(|part| format!("{layer}.{part}"));
        let axis = Attribute::new("axis", 2i64).map_err(failed)?;
        self.node("Split", ONNX_DOMAIN, &[&both, "thirds"], &[&q, &k, &v], [axis])?;
        let mixed = format!("{layer}.mixed");
        let heads = Attribute::new("num_heads", HEADS).map_err(failed)?;
        self.node("MultiHeadAttention", MICROSOFT, &[&q, &k, &v, &bias, mask], &[&mixed], [heads])?;

        let dense = format!("{layer}.attention.output.dense");
        let out = self.product(&dense, &mixed, &[&dense], [HIDDEN, HIDDEN])?;
        self.residual(&out, x, &dense, &format!("{layer}.attention.output.LayerNorm"))
    }

    /// The two dense layers with GELU between them, their residual connection and LayerNorm.
    fn feed_forward(&mut self, layer: &str, x: &str) -> Result<String, EmbedError> {
        let dense = format!("{layer}.intermediate.dense");
        let wide = self.product(&dense, x, &[&dense], [INNER, HIDDEN])?;
        let bias = self.copied(&format!("{dense}.bias"), INNER)?;
        let bent = format!("{layer}.gelu");
        self.node("BiasGelu", MICROSOFT, &[&wide, &bias], &[&bent], [])?;

        let dense = format!("{layer}.output.dense");
        let out = self.product(&dense, &bent, &[&dense], [HIDDEN, INNER])?;
        self.residual(&out, x, &dense, &format!("{layer}.output.LayerNorm"))
    }

    /// LayerNorm of `out` + bias + `x`.
    fn residual(&mut self, out: &str, x: &str, dense: &str, norm: &str) -> Result<String, EmbedError> {
        let gamma = self.copied(&format!("{norm}.weight"), HIDDEN)?;
        let beta = self.copied(&format!("{norm}.bias"), HIDDEN)?;
        let bias = self.copied(&format!("{dense}.bias"), HIDDEN)?;
        let result = format!("{norm}.out");
        let epsilon = Attribute::new("epsilon", EPSILON).map_err(failed)?;
        self.node("SkipLayerNormalization", MICROSOFT, &[out, x, &gamma, &beta, &bias], &[&result], [epsilon])?;
        Ok(result)
    }

    fn layer_norm(&mut self, x: &str, norm: &str) -> Result<String, EmbedError> {
        let gamma = self.copied(&format!("{norm}.weight"), HIDDEN)?;
        let beta = self.copied(&format!("{norm}.bias"), HIDDEN)?;
        let result = format!("{norm}.out");
        let epsilon = Attribute::new("epsilon", EPSILON).map_err(failed)?;
        self.node("LayerNormalization", ONNX_DOMAIN, &[x, &gamma, &beta], &[&result], [epsilon])?;
        Ok(result)
    }

    /// `x` times the weights of `parts` side by side, without bias. Each part is `[outputs, inputs]` in the file.
    fn product(&mut self, name: &str, x: &str, parts: &[&str], size: [usize; 2]) -> Result<String, EmbedError> {
        let [outputs, inputs] = size;
        let mut rows = Vec::with_capacity(parts.len() * outputs * inputs);
        for part in parts {
            rows.extend(self.weights.floats(&format!("{part}.weight"), &[outputs, inputs])?);
        }
        let columns = parts.len() * outputs;
        let (weight, result) = (format!("{name}.w"), format!("{name}.xw"));
        match self.kernel {
            Kernel::Fp32 => {
                self.constant(&weight, &[inputs, columns], &transposed(&rows, inputs))?;
                self.node("MatMul", ONNX_DOMAIN, &[x, &weight], &[&result], [])?;
            }
            Kernel::Int8 { top } => {
                let (numbers, scales) = quantised(&rows, inputs, top);
                self.constant(&weight, &[inputs, columns], &transposed(&numbers, inputs))?;
                let scale = format!("{name}.scale");
                self.constant(&scale, &[columns], &scales)?;
                self.node("DynamicQuantizeMatMul", MICROSOFT, &[x, &weight, &scale], &[&result], [])?;
            }
        }
        Ok(result)
    }

    /// Brings a vector of the file into the graph under its own name.
    fn copied(&mut self, name: &str, length: usize) -> Result<String, EmbedError> {
        let numbers = self.weights.floats(name, &[length])?;
        self.constant(name, &[length], &numbers)?;
        Ok(name.to_owned())
    }

    fn integers(&mut self, name: &str, numbers: &[i64]) -> Result<(), EmbedError> {
        self.constant(name, &[numbers.len()], numbers)
    }

    /// An initialiser. It has to lie in memory that the runtime allocated.
    fn constant<T>(&mut self, name: &str, shape: &[usize], numbers: &[T]) -> Result<(), EmbedError>
    where
        T: PrimitiveTensorElementType + Copy + std::fmt::Debug,
    {
        let mut tensor = Tensor::<T>::new(&Allocator::default(), Shape::from(shape)).map_err(failed)?;
        tensor.extract_tensor_mut().1.copy_from_slice(numbers);
        // Small ones go into the model itself, where the optimiser looks for them.
        let external = size_of_val(numbers) > 1024;
        self.graph.add_initializer(name, tensor, external).map_err(failed)
    }

    fn node(
        &mut self,
        operator: &str,
        domain: &str,
        inputs: &[&str],
        outputs: &[&str],
        attributes: impl IntoIterator<Item = Attribute>,
    ) -> Result<(), EmbedError> {
        // Optional inputs at the end are left off, not given as empty names.
        let given = inputs.iter().rposition(|input| !input.is_empty()).map_or(0, |last| last + 1);
        let node = Node::new(operator, domain, outputs[0], &inputs[..given], outputs, attributes).map_err(failed)?;
        self.graph.add_node(node).map_err(failed)
    }
}

fn outlet(name: &str, ty: TensorElementType, shape: &[i64]) -> Outlet {
    let dimension_symbols = SymbolicDimensions::empty(shape.len());
    Outlet::new(name, ValueType::Tensor { ty, shape: Shape::from(shape), dimension_symbols })
}

/// Rows of `width` numbers, turned into columns.
fn transposed<T: Copy + Default>(rows: &[T], width: usize) -> Vec<T> {
    let height = rows.len() / width;
    let mut columns = vec![T::default(); rows.len()];
    for (y, row) in rows.chunks_exact(width).enumerate() {
        for (x, &number) in row.iter().enumerate() {
            columns[x * height + y] = number;
        }
    }
    columns
}

/// Symmetric integers from -`top` to `top`, and each row's scale.
fn quantised(rows: &[f32], width: usize, top: i8) -> (Vec<i8>, Vec<f32>) {
    let top = f32::from(top);
    let mut numbers = Vec::with_capacity(rows.len());
    let mut scales = Vec::with_capacity(rows.len() / width);
    for row in rows.chunks_exact(width) {
        let largest = row.iter().fold(0f32, |largest, number| largest.max(number.abs()));
        // A row of zeros needs some scale; any will do.
        let scale = if largest > 0.0 { largest / top } else { 1.0 };
        numbers.extend(row.iter().map(|number| (number / scale).round().clamp(-top, top) as i8));
        scales.push(scale);
    }
    (numbers, scales)
}

#[cfg(test)]
mod tests {
    use super::{quantised, transposed};
    use proptest::prelude::*;

    #[test]
    fn rows_become_columns() {
        assert_eq!(transposed(&[1, 2, 3, 4, 5, 6], 3), [1, 4, 2, 5, 3, 6]);
    }

    proptest! {
        #[test]
        fn quantising_is_off_by_half_a_step_at_most(rows in proptest::collection::vec(-9f32..9.0, 12), seven in any::<bool>()) {
            let top = if seven { 63 } else { 127 };
            let (numbers, scales) = quantised(&rows, 4, top);
            for (at, number) in rows.iter().enumerate() {
                let scale = scales[at / 4];
                prop_assert!((f32::from(numbers[at]) * scale - number).abs() <= scale * 0.5001);
                prop_assert!(numbers[at].abs() <= top);
            }
        }

        #[test]
        fn zeros_stay_zeros(width in 1usize..9) {
            let (numbers, scales) = quantised(&vec![0.0; width], width, 127);
            prop_assert!(numbers.iter().all(|&number| number == 0) && scales == [1.0]);
        }
    }
}
