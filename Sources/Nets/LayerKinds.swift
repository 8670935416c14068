import Kernels
import Support

/// A kind of layer by the name that the configuration has for it.
///
/// Adding a layer takes its own file and a line in ``all``: its initialiser from ``LayerSettings`` says which settings
/// it has, ``Layer/operators(_:from:in:)`` what it is in ONNX.
public struct LayerKind: Sendable {
    /// `dense`, `max_pool`.
    public let name: String
    /// The layer with these settings. Throws what ``LayerSettings`` throws.
    public let make: @Sendable (any LayerSettings) throws(Failure) -> any Layer

    private init(_ name: String, _ make: @escaping @Sendable (any LayerSettings) throws(Failure) -> any Layer) {
        self.name = name
        self.make = make
    }

    public static let all: [LayerKind] = [
        LayerKind("dense") { settings throws(Failure) in try Dense(settings) },
        LayerKind("maxout") { settings throws(Failure) in try Maxout(settings) },
        LayerKind("convolution") { settings throws(Failure) in try Convolution2D(settings) },
        LayerKind("transposed_convolution") { settings throws(Failure) in try TransposedConvolution2D(settings) },
        LayerKind("batch_normalisation", batchNormalisation),
        LayerKind("dropout") { settings throws(Failure) in try Dropout(settings) },
        LayerKind("reshape") { settings throws(Failure) in try Reshape(settings) },
        LayerKind("flatten") { _ in Flatten() },
        LayerKind("relu") { _ in ReLU() },
        LayerKind("leaky_relu") { settings throws(Failure) in try LeakyReLU(settings) },
        LayerKind("sigmoid") { _ in Sigmoid() },
        LayerKind("tanh") { _ in Tanh() },
        LayerKind("channel_maxout") { settings throws(Failure) in try ChannelMaxout(settings) },
        LayerKind("max_pool") { settings throws(Failure) in try Pooling2D(.maximum, settings) },
        LayerKind("mean_pool") { settings throws(Failure) in try Pooling2D(.mean, settings) },
        LayerKind("zero_padding") { settings throws(Failure) in try ZeroPadding(settings) },
    ]
}

/// What a layer asks for its settings. Every setting is asked for once, by its key in the configuration, with the value
/// that it has where the user gives none (nil: the user must) and the values allowed. Each call throws
/// exit code 78 for a value that is not allowed, naming the key.
public protocol LayerSettings {
    func integer(_ key: String, default standard: Int?, _ allowed: ClosedRange<Int>) throws(Failure) -> Int
    func number(_ key: String, default standard: Double?, _ allowed: ClosedRange<Double>) throws(Failure) -> Double
    /// True or false; false where nothing is said, and then it is not shown among the layer's settings.
    func flag(_ key: String) throws(Failure) -> Bool
    func choice<Choice: RawRepresentable & CaseIterable>(
        _ key: String, default standard: Choice
    ) throws(Failure) -> Choice where Choice.RawValue == String
    /// Height and width, or one number for both.
    func extent(_ key: String, default standard: Int?, _ allowed: ClosedRange<Int>) throws(Failure) -> Extent
    func shape(_ key: String) throws(Failure) -> Shape
    func initialiser(_ key: String, default standard: Initialiser) throws(Failure) -> Initialiser
    /// The key `bias`: how the biases start, zero where nothing is said; nil where the layer is to have none.
    func bias() throws(Failure) -> Initialiser?
}

extension LayerSettings {
    func integer(_ key: String, _ allowed: ClosedRange<Int>) throws(Failure) -> Int {
        try integer(key, default: nil, allowed)
    }

    func extent(_ key: String, _ allowed: ClosedRange<Int>) throws(Failure) -> Extent {
        try extent(key, default: nil, allowed)
    }
}
