import Foundation
@testable import Nets

/// Networks of dense layers and residuals in double, as the definitions say: what the fast ones are compared with.
struct Naive {
    static func sigmoid(_ x: Double) -> Double { 1 / (1 + exp(-x)) }
    static func tanh(_ x: Double) -> Double { Foundation.tanh(x) }
    static func softplus(_ x: Double) -> Double { max(x, 0) + log1p(exp(-abs(x))) }

    /// Channels fastest; a scale and a shift a channel.
    static func layerNormalisation(_ x: [Double], _ scale: [Double], _ shift: [Double]) -> [Double] {
        let count = Double(x.count), mean = x.reduce(0, +) / count
        let variance = x.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / count
        return x.indices.map {
            let channel = $0 % scale.count
            return (x[$0] - mean) / (variance + 1e-5).squareRoot() * scale[channel] + shift[channel]
        }
    }

    static func gelu(_ x: Double) -> Double { x * erfc(-x / 2.squareRoot()) / 2 }
    static func silu(_ x: Double) -> Double { x * sigmoid(x) }

    /// Neighbouring channels make a group.
    static func groupNormalisation(
        _ x: [Double], groups: Int, _ scale: [Double], _ shift: [Double]
    ) -> [Double] {
        let channels = scale.count, size = channels / groups
        return x.indices.map { index in
            let group = index % channels / size
            let values = x.indices.filter { $0 % channels / size == group }.map { x[$0] }, count = Double(values.count)
            let mean = values.reduce(0, +) / count
            let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / count
            let v = (x[index] - mean) / (variance + 1e-5).squareRoot()
            return v * scale[index % channels] + shift[index % channels]
        }
    }

    static func pixelNormalisation(_ x: [Double], channels: Int) -> [Double] {
        x.indices.map { index in
            let first = index / channels * channels
            let squares = x[first ..< first + channels].reduce(0) { $0 + $1 * $1 }
            return x[index] / (squares / Double(channels) + 1e-8).squareRoot()
        }
    }

    /// The formula of ``SelfAttention``, of one example.
    static func selfAttention(_ x: [Double], _ p: [[Double]], height: Int, width: Int) -> [Double] {
        let channels = x.count / (height * width), positions = height * width
        func product(_ a: [Double], _ b: [Double], inner: Int) -> [[Double]] {
            let columns = b.count / inner
            return (0 ..< a.count / inner).map { row in
                (0 ..< columns).map { c in (0 ..< inner).reduce(0) { $0 + a[row * inner + $1] * b[$1 * columns + c] } }
            }
        }
        func pooled(_ maps: [[Double]]) -> [[Double]] {
            (0 ..< height / 2).flatMap { y in
                (0 ..< width / 2).map { x in
                    let first = 2 * y * width + 2 * x
                    return maps[first].indices.map { c in
                        [first, first + 1, first + width, first + width + 1].map { maps[$0][c] }.max()!
                    }
                }
            }
        }
        let q = product(x, p[0], inner: channels), k = pooled(product(x, p[1], inner: channels))
        let v = pooled(product(x, p[2], inner: channels))
        let means = (0 ..< positions).flatMap { i -> [Double] in
            let weights = k.map { key in exp(zip(q[i], key).reduce(0) { $0 + $1.0 * $1.1 }) }
            let sum = weights.reduce(0, +)
            return v[0].indices.map { c in zip(weights, v).reduce(0) { $0 + $1.0 / sum * $1.1[c] } }
        }
        let output = product(means, p[3], inner: channels / 2).flatMap { $0 }
        return x.indices.map { p[4][0] * output[$0] + x[$0] }
    }

    let nodes: [NetworkNode]
    /// Of each node.
    var parameters: [[[Double]]]

    init(_ network: Network) {
        nodes = network.nodes
        parameters = network.nodes.indices.map { number in
            network.store.entries.filter { $0.layer == number }.map {
                network.store.values.values[$0.range].array.map(Double.init)
            }
        }
    }

    /// The logit of one example.
    func logit(_ x: [Double]) -> Double {
        var values = [x]
        for (node, parameters) in zip(nodes, parameters) {
            let inputs = node.inputs.map { values[$0] }
            values.append(
                node.isSum ? zip(inputs[0], inputs[1]).map(+) : Self.output(of: node.layer, parameters, inputs[0]))
        }
        return values.last![0]
    }

    private static func output(of layer: any Layer, _ p: [[Double]], _ x: [Double]) -> [Double] {
        switch layer {
        case is Dense:
            let outputs = p[1].count
            return (0 ..< outputs).map { o in
                x.indices.reduce(p[1][o]) { $0 + x[$1] * p[0][$1 * outputs + o] }
            }
        case let layer as LeakyReLU: return x.map { $0 > 0 ? $0 : Double(layer.slope) * $0 }
        case is Sigmoid: return x.map(sigmoid)
        case is Tanh: return x.map(tanh)
        case is Softplus: return x.map(softplus)
        case is LayerNormalisation: return layerNormalisation(x, p[0], p[1])
        default: fatalError("\(layer.name) is not among the naive layers")
        }
    }

    /// The derivative of the logit at `x` along `u`.
    func derivative(at x: [Double], along u: [Double]) -> Double {
        let h = 1e-4
        func moved(_ step: Double) -> Double { logit(zip(x, u).map { $0 + step * $1 }) }
        return (8 * (moved(h) - moved(-h)) - (moved(2 * h) - moved(-2 * h))) / (12 * h)
    }
}
