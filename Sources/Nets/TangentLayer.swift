import Kernels

/// A layer that a gradient penalty may go through.
///
/// A penalty on g_i = ∂s_i/∂x_i, s_i the logit of example x_i, has with respect to the parameters the gradient of
/// Σ_i ⟨u_i, g_i⟩, u_i = its derivative by g_i held constant: the derivative of each logit along u_i. With J_l the
/// Jacobian of layer l at the input x_{l−1} of the last forward and a_i the slope of the rest of the cost:
///
///     forward      x_l = f_l(x_{l−1})
///     adjoint      e_{l−1} = J_lᵀ e_l,  e_L = 1                 g = e_0
///     tangent      t_l = J_l t_{l−1},   t_0 = u
///     curvature    q_{l−1} = J_lᵀ q_l + c_l,  q_L = 0,  c_l = ∂⟨e_l, J_l(x) t_{l−1}⟩ / ∂x at x_{l−1}
///
/// The gradient of parameters θ_l is that of Σ_i ⟨a_i e_l + q_l, f_l(x_{l−1})⟩ + ⟨e_l, J_l(x_{l−1}) t_{l−1}⟩.
///
/// Every example's output depends on that example alone.
public protocol TangentLayer: Layer {
    /// Whether J changes with the input, other than from one piece on which the layer is linear to another.
    var hasCurvature: Bool { get }
    /// t_l = J t_{l−1}: the layer without its biases, with the masks, winners and moments of the last forward.
    func tangent(
        _ inputTangent: Batch, input: Batch, output: Batch, into outputTangent: Batch, _ memory: LayerMemory)
    /// Overwrites `inputGradient` with c, or adds c to it. `tangent` is that of the input. Called only where
    /// ``hasCurvature``.
    func curvature(
        _ outputGradient: Batch, tangent: Batch, input: Batch, output: Batch, into inputGradient: Batch, adding: Bool,
        _ memory: LayerMemory)
    /// The parameters' gradient of Σ_i a_i ⟨e_i, f(x_i)⟩ + ⟨e_i, J(x_i) t_i⟩, with a in ``LayerMemory/rowWeights``
    /// and e in `outputGradient`. Overwrites `tangent`, that of the input.
    func tangentGradients(
        _ outputGradient: Batch, tangent: Batch, input: Batch, output: Batch, _ memory: LayerMemory)
}

extension TangentLayer {
    public var hasCurvature: Bool { false }

    public func curvature(
        _ outputGradient: Batch, tangent: Batch, input: Batch, output: Batch, into inputGradient: Batch, adding: Bool,
        _ memory: LayerMemory
    ) {
        preconditionFailure("\(name) has no curvature")
    }

    /// For a layer W x + b, whatever its W: dW = Σ_i e_i (a_i x_i + t_i)ᵀ is one product, the layer's own backward
    /// of another input; db = Σ_i a_i e_i is what ``LayerMemory/addBiasGradient(_:_:)`` makes.
    public func tangentGradients(
        _ outputGradient: Batch, tangent: Batch, input: Batch, output: Batch, _ memory: LayerMemory
    ) {
        Reductions.addRows(of: input.values, times: memory.rowWeights, to: tangent.values)
        backward(outputGradient, input: tangent, output: output, into: nil, memory, parameterGradients: true)
    }
}

/// A layer whose Jacobian is diagonal, value by value in the order of memory: the tangent is what backward makes.
public protocol DiagonalLayer: TangentLayer {}

extension DiagonalLayer {
    public func tangent(
        _ inputTangent: Batch, input: Batch, output: Batch, into outputTangent: Batch, _ memory: LayerMemory
    ) {
        backward(
            Batch(inputTangent.values, count: output.count, shape: output.shape), input: input, output: output,
            into: Batch(outputTangent.values, count: input.count, shape: input.shape), memory,
            parameterGradients: false)
    }
}
