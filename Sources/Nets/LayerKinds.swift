import Kernels
import Support

/// A kind of layer by the name that the configuration has for it.
///
/// Adding a layer takes its own file and a line in ``all``: its initialiser from ``LayerSettings`` says which settings
/// it has and what they mean, ``Layer/operators(_:from:in:)`` what it is in ONNX.
public struct LayerKind: Sendable {
    /// `dense`, `max_pool`.
    public let name: String
    /// What it does, in one line.
    public let summary: String
    /// The layer with these settings. Throws what ``LayerSettings`` throws.
    public let make: @Sendable (any LayerSettings) throws(Failure) -> any Layer

    private init(
        _ name: String, _ summary: String,
        _ make: @escaping @Sendable (any LayerSettings) throws(Failure) -> any Layer
    ) {
        self.name = name
        self.summary = summary
        self.make = make
    }

    public static let all: [LayerKind] = [
        LayerKind("dense", "y = x W + b, of a vector") { settings throws(Failure) in try Dense(settings) },
        LayerKind(
            "maxout", "each unit is the largest of `pieces` linear maps of a vector (Goodfellow et al. 2013)"
        ) { settings throws(Failure) in try Maxout(settings) },
        LayerKind("convolution", "of an image") { settings throws(Failure) in try Convolution2D(settings) },
        LayerKind(
            "transposed_convolution", "of an image; with stride s the output is s times as large"
        ) { settings throws(Failure) in try TransposedConvolution2D(settings) },
        LayerKind(
            "batch_normalisation", "each channel by the mean and variance of the minibatch (Ioffe & Szegedy 2015)",
            batchNormalisation),
        LayerKind(
            "layer_normalisation",
            "each example by the mean and variance of all its values (Ba et al. 2016), then scale and shift a channel"
        ) { settings throws(Failure) in try LayerNormalisation(settings) },
        LayerKind(
            "group_normalisation",
            "each group of an example's channels by its mean and variance (Wu & He 2018), then scale and shift"
        ) { settings throws(Failure) in try GroupNormalisation(settings, hasGroups: true) },
        LayerKind(
            "instance_normalisation",
            "each channel of an example by its mean and variance (Ulyanov et al. 2016), then scale and shift"
        ) { settings throws(Failure) in try GroupNormalisation(settings, hasGroups: false) },
        LayerKind(
            "pixel_normalisation", "each pixel by the root of the mean square of its channels (Karras et al. 2018)"
        ) { settings throws(Failure) in try PixelNormalisation(settings) },
        LayerKind(
            "minibatch_deviation",
            "one more channel: how much the examples of a group deviate from each other (Karras et al. 2018)"
        ) { settings throws(Failure) in try MinibatchDeviation(settings) },
        LayerKind(
            "self_attention",
            "each pixel gets a mean of all others', weighted by what they have in common (Zhang et al. 2019)"
        ) { settings throws(Failure) in try SelfAttention(settings) },
        LayerKind(
            "dropout", "in training each value is kept or set to 0 at random, and scaled (Srivastava et al. 2014)"
        ) { settings throws(Failure) in try Dropout(settings) },
        LayerKind("reshape", "the same values under another shape") { settings throws(Failure) in
            try Reshape(settings)
        },
        LayerKind("slice", "some neighbouring values of a vector, under a shape") { settings throws(Failure) in
            try Slice(settings)
        },
        LayerKind("flatten", "an image as a vector") { _ in Flatten() },
        LayerKind("relu", "max(x, 0)") { _ in ReLU() },
        LayerKind("leaky_relu", "x above 0, slope · x below") { settings throws(Failure) in try LeakyReLU(settings) },
        LayerKind("sigmoid", "1 / (1 + exp(−x))") { _ in Sigmoid() },
        LayerKind("tanh", "tanh(x)") { _ in Tanh() },
        LayerKind("softplus", "log(1 + exp(x))") { _ in Softplus() },
        LayerKind("gelu", "x Φ(x), Φ the normal distribution function") { _ in GELU() },
        LayerKind("silu", "x / (1 + exp(−x))") { _ in SiLU() },
        LayerKind("channel_maxout", "the largest of each `pieces` neighbouring channels") { settings throws(Failure) in
            try ChannelMaxout(settings)
        },
        LayerKind("max_pool", "the largest value of each window") { settings throws(Failure) in
            try Pooling2D(.maximum, settings)
        },
        LayerKind("mean_pool", "the mean of each window") { settings throws(Failure) in
            try Pooling2D(.mean, settings)
        },
        LayerKind("sum_pool", "the sum of each window") { settings throws(Failure) in try Pooling2D(.sum, settings) },
        LayerKind("upsample", "an image made larger by a whole factor") { settings throws(Failure) in
            try Resample2D(larger: settings)
        },
        LayerKind("downsample", "an image made smaller by a whole factor") { settings throws(Failure) in
            try Resample2D(smaller: settings)
        },
        LayerKind("scale_shift", "a learned scale and shift a channel, or one of them") { settings throws(Failure) in
            try ScaleShift(settings)
        },
        LayerKind(
            "basis", "a learned image a channel, times a linear map of a vector (Huang et al. 2024)"
        ) { settings throws(Failure) in try Basis(settings) },
        LayerKind("constant", "learned values, whatever the input") { settings throws(Failure) in
            try Constant(settings)
        },
        LayerKind("zero_padding", "zeros around an image") { settings throws(Failure) in try ZeroPadding(settings) },
        LayerKind(
            "embedding", "learned values of the condition joined to a vector, or to an image as further channels"
        ) { settings throws(Failure) in try Embedding(settings) },
        LayerKind(
            "join_condition",
            "the condition itself joined likewise: a class as a vector with a single 1 (Mirza & Osindero 2014)"
        ) { settings throws(Failure) in try JoinedCondition(settings) },
        LayerKind(
            "conditional_batch_normalisation",
            "`batch_normalisation` with a scale and a shift a class (Dumoulin et al. 2017)"
        ) { settings throws(Failure) in try conditionalBatchNormalisation(settings) },
        LayerKind(
            "projection", "w·φ + b + ⟨embedding of the condition, φ⟩, the last layer of D (Miyato & Koyama 2018)"
        ) { settings throws(Failure) in try Projection(settings) },
        LayerKind(
            "residual", "body(x) + skip(x), of two lists of layers (He et al. 2016)"
        ) { settings throws(Failure) in try Residual(settings) },
    ]
}

/// What a layer asks for its settings. Every setting is asked for once, by its key in the configuration, with the value
/// that it has where the user gives none (nil: the user must), the values allowed, and its meaning in one line, which
/// stands on the page of all keys. Each call throws exit code 78 for a value that is not allowed, naming the key.
public protocol LayerSettings {
    func integer(
        _ key: String, default standard: Int?, _ allowed: ClosedRange<Int>, meaning: String
    ) throws(Failure) -> Int
    /// Where it is not given it is not shown among the layer's settings.
    func integerIfGiven(
        _ key: String, otherwise standard: Int, _ allowed: ClosedRange<Int>, meaning: String
    ) throws(Failure) -> Int
    func number(
        _ key: String, default standard: Double?, _ allowed: ClosedRange<Double>, meaning: String
    ) throws(Failure) -> Double
    /// True or false; false where nothing is said, and then it is not shown among the layer's settings.
    func flag(_ key: String, meaning: String) throws(Failure) -> Bool
    func choice<Choice: RawRepresentable & CaseIterable>(
        _ key: String, default standard: Choice, meaning: String
    ) throws(Failure) -> Choice where Choice.RawValue == String
    /// Height and width, or one number for both.
    func extent(
        _ key: String, default standard: Int?, _ allowed: ClosedRange<Int>, meaning: String
    ) throws(Failure) -> Extent
    func shape(_ key: String, meaning: String) throws(Failure) -> Shape
    func initialiser(_ key: String, default standard: Initialiser, meaning: String) throws(Failure) -> Initialiser
    /// A list of layers, which has to be there.
    func layers(_ key: String, meaning: String) throws(Failure) -> [any Layer]
    /// The same, empty where nothing is said, and then it is not shown among the layer's settings.
    func optionalLayers(_ key: String, meaning: String) throws(Failure) -> [any Layer]
    /// What the examples are conditioned on; throws where that is nothing, or, with `classesOnly`, vectors. To be asked
    /// last.
    func condition(classesOnly: Bool) throws(Failure) -> Condition
    /// The key `bias`: how the biases start, zero where nothing is said; nil where the layer is to have none.
    func bias() throws(Failure) -> Initialiser?
}

extension LayerSettings {
    /// The key of a layer whose weight is divided by its spectral norm.
    func spectral() throws(Failure) -> Bool {
        try flag("spectral", meaning: "divide the weights by their spectral norm (Miyato et al. 2018)")
    }

    func condition() throws(Failure) -> Condition { try condition(classesOnly: false) }

    func integer(_ key: String, _ allowed: ClosedRange<Int>, meaning: String) throws(Failure) -> Int {
        try integer(key, default: nil, allowed, meaning: meaning)
    }

    func extent(_ key: String, _ allowed: ClosedRange<Int>, meaning: String) throws(Failure) -> Extent {
        try extent(key, default: nil, allowed, meaning: meaning)
    }
}
