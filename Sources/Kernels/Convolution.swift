/// A two-dimensional convolution and its two adjoints, without bias.
///
/// Activations are NHWC: `batch` examples of height × width × channels. Weights are [kernel.height, kernel.width,
/// input channels, output channels]. With x the input, w the weights, y the output, and indices of the padded image,
///
///     y[n, p, q, o] = Σ over i, j, c of
///         x[n, p·stride.height + i − padTop, q·stride.width + j − padLeft, c] · w[i, j, c, o].
///
/// In groups, each output channel sees the input channels of its group alone: of I input and O output channels, o
/// sees the I / groups that begin at ⌊o / (O / groups)⌋ · (I / groups), and w is [kernel.height, kernel.width,
/// I / groups, O].
///
/// A transposed convolution is `inputGradient` used as the forward pass, in the geometry of its adjoint (its output
/// is the input here). Results depend on the arguments alone: the algorithm is chosen by shape and batch.
public struct Convolution: Sendable {
    /// How a convolution is computed.
    enum Algorithm: String, Sendable {
        /// The window is the whole image, or one pixel: a product of matrices as they lie.
        case matrix
        /// Windows copied into rows of a matrix, a block at a time, and multiplied.
        case windows
        /// Fewer multiplications by Winograd's transforms: see ``WinogradConvolution``.
        case winograd
        /// One to four channels on one side: see ``FewChannelConvolution``.
        case fewChannels = "few channels"
        /// Groups one after another, as products of small matrices: see ``GroupedConvolution``.
        case groups
        /// A channel a group: see ``DepthwiseConvolution``.
        case depthwise
    }

    public let geometry: ConvolutionGeometry
    /// A divisor of the input's and of the output's channels.
    public let groups: Int
    /// For tests: an algorithm other than the shape's own.
    private let forced: Algorithm?

    public init(_ geometry: ConvolutionGeometry, groups: Int = 1) {
        self.init(geometry, groups: groups, algorithm: nil)
    }

    init(_ geometry: ConvolutionGeometry, groups: Int = 1, algorithm: Algorithm?) {
        precondition(
            groups > 0 && geometry.inputChannels % groups == 0 && geometry.outputChannels % groups == 0,
            "\(groups) groups of \(geometry)")
        self.geometry = geometry
        self.groups = groups
        forced = algorithm
    }

    func algorithm(batch: Int) -> Algorithm {
        if let forced { return forced }
        let g = geometry
        if groups > 1 { return groups == g.inputChannels && groups == g.outputChannels ? .depthwise : .groups }
        let onePixel = g.kernel == 1 && g.stride == 1
        let wholeImage = g.hasNoPadding && g.kernel == Extent(height: g.inputHeight, width: g.inputWidth)
        if onePixel || wholeImage { return .matrix }
        if FewChannelConvolution.suits(g) { return .fewChannels }
        return WinogradConvolution.suits(g, batch: batch) ? .winograd : .windows
    }

    /// What computes it for `batch` examples, as benchmarks name it.
    public func algorithmName(batch: Int) -> String {
        let chosen = algorithm(batch: batch)
        return chosen == .matrix ? matrixProduct(batch: batch).algorithmName : chosen.rawValue
    }

    /// Values of scratch memory that each of the passes may use for `batch` examples.
    public func scratchCount(batch: Int) -> Int {
        switch algorithm(batch: batch) {
        case .matrix: matrixProduct(batch: batch).scratchCount
        case .windows: WindowConvolution(geometry: geometry, batch: batch).scratchCount
        case .winograd: WinogradConvolution(geometry: geometry, batch: batch).scratchCount
        case .fewChannels: FewChannelConvolution(geometry: geometry, batch: batch).scratchCount
        case .groups: GroupedConvolution(geometry: geometry, groups: groups, batch: batch).scratchCount
        case .depthwise: 0
        }
    }

    /// Overwrites `output`.
    public func forward(_ input: Floats, weight: Floats, into output: Floats, batch: Int, scratch: Floats) {
        check(input: input, weight: weight, output: output, batch: batch, scratch: scratch)
        switch algorithm(batch: batch) {
        case .matrix:
            matrixProduct(batch: batch).forward(input, weight: weight, bias: nil, into: output, scratch: scratch)
        case .windows:
            WindowConvolution(geometry: geometry, batch: batch)
                .forward(input.base, weight: weight.base, into: output.base, scratch: scratch.base)
        case .winograd:
            WinogradConvolution(geometry: geometry, batch: batch)
                .forward(input.base, weight: weight.base, into: output.base, scratch: scratch.base)
        case .fewChannels:
            FewChannelConvolution(geometry: geometry, batch: batch)
                .forward(input, weight: weight, into: output, scratch: scratch)
        case .groups:
            GroupedConvolution(geometry: geometry, groups: groups, batch: batch)
                .forward(input.base, weight: weight.base, into: output.base, scratch: scratch.base)
        case .depthwise:
            DepthwiseConvolution(geometry: geometry, batch: batch).forward(input, weight: weight, into: output)
        }
    }

    /// Overwrites `inputGradient` with the gradient of the loss with respect to the input.
    public func inputGradient(
        _ outputGradient: Floats, weight: Floats, into inputGradient: Floats, batch: Int, scratch: Floats
    ) {
        check(input: inputGradient, weight: weight, output: outputGradient, batch: batch, scratch: scratch)
        switch algorithm(batch: batch) {
        case .matrix:
            matrixProduct(batch: batch).inputGradient(
                outputGradient, weight: weight, into: inputGradient, scratch: scratch)
        case .windows:
            WindowConvolution(geometry: geometry, batch: batch)
                .inputGradient(
                    outputGradient.base, weight: weight.base, into: inputGradient.base, scratch: scratch.base)
        case .winograd:
            WinogradConvolution(geometry: geometry, batch: batch)
                .inputGradient(
                    outputGradient.base, weight: weight.base, into: inputGradient.base, scratch: scratch.base)
        case .fewChannels:
            FewChannelConvolution(geometry: geometry, batch: batch)
                .inputGradient(outputGradient, weight: weight, into: inputGradient, scratch: scratch)
        case .groups:
            GroupedConvolution(geometry: geometry, groups: groups, batch: batch)
                .inputGradient(
                    outputGradient.base, weight: weight.base, into: inputGradient.base, scratch: scratch.base)
        case .depthwise:
            DepthwiseConvolution(geometry: geometry, batch: batch).inputGradient(
                outputGradient, weight: weight, into: inputGradient)
        }
    }

    /// Overwrites `weightGradient` with the gradient with respect to the weights, or adds to it if `adding`.
    public func weightGradient(
        input: Floats, outputGradient: Floats, into weightGradient: Floats, adding: Bool, batch: Int,
        scratch: Floats
    ) {
        check(input: input, weight: weightGradient, output: outputGradient, batch: batch, scratch: scratch)
        if batch == 0, !adding { weightGradient[0 ..< weightCount].fill(0) }
        switch algorithm(batch: batch) {
        case .matrix:
            matrixProduct(batch: batch).weightGradient(
                input, outputGradient, into: weightGradient, adding: adding, scratch: scratch)
        case .windows:
            WindowConvolution(geometry: geometry, batch: batch)
                .weightGradient(
                    input: input.base, outputGradient: outputGradient.base, into: weightGradient.base,
                    adding: adding, scratch: scratch.base)
        case .winograd:
            WinogradConvolution(geometry: geometry, batch: batch)
                .weightGradient(
                    input: input.base, outputGradient: outputGradient.base, into: weightGradient.base,
                    adding: adding, scratch: scratch.base)
        case .fewChannels:
            FewChannelConvolution(geometry: geometry, batch: batch).weightGradient(
                input: input, outputGradient: outputGradient, into: weightGradient, adding: adding, scratch: scratch)
        case .groups:
            GroupedConvolution(geometry: geometry, groups: groups, batch: batch)
                .weightGradient(
                    input: input.base, outputGradient: outputGradient.base, into: weightGradient.base,
                    adding: adding, scratch: scratch.base)
        case .depthwise:
            DepthwiseConvolution(geometry: geometry, batch: batch).weightGradient(
                input: input, outputGradient: outputGradient, into: weightGradient, adding: adding)
        }
    }

    /// Values of the weights.
    private var weightCount: Int { geometry.weightCount / groups }

    private func matrixProduct(batch: Int) -> BatchProduct {
        BatchProduct(
            rows: batch * geometry.outputPixels, inputs: geometry.windowCount, outputs: geometry.outputChannels)
    }

    private func check(input: Floats, weight: Floats, output: Floats, batch: Int, scratch: Floats) {
        precondition(
            input.count >= batch * geometry.inputCount && output.count >= batch * geometry.outputCount,
            "\(input.count) input and \(output.count) output values for \(batch) examples of \(geometry)")
        precondition(weight.count >= weightCount, "\(weight.count) weights for \(geometry) in \(groups) groups")
        precondition(scratch.count >= scratchCount(batch: batch), "\(scratch.count) values of scratch for \(geometry)")
    }
}
