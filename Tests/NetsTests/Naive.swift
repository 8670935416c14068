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
