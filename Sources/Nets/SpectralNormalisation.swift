import Kernels

/// The weights that one network computes with as W̄ = W / σ(W), σ the spectral norm: Miyato et al. 2018
/// (arXiv:1802.05957).
///
/// W is taken as a matrix [out] × [rest], whatever its layout; the rest in the order of memory: `I` of a dense layer,
/// `H, W, I` of a kernel. One power iteration an update of the network improves u and v, which are state:
///
///     v ← Wᵀu / ‖Wᵀu‖,   u ← W v / ‖W v‖,   σ = uᵀ W v
///
/// Backward takes u and v for constants: dW = (dW̄ − ⟨dW̄, W̄⟩ u vᵀ) / σ, which is linear in dW̄, so that it is applied
/// once, to the gradient summed over shards. A weight whose σ is 0 (below 10⁻¹²), as it is where all are zeros, is left
/// as it is, and so is its gradient.
public final class SpectralNormalisation {
    private struct Entry {
        let name: String
        let range: Range<Int>
        let form: SpectralNorm.Form
        let u, v: Range<Int>
        var sigma = 1.0
    }

    /// u and v of every such weight.
    public let state: FloatBuffer
    private var entries: [Entry] = []
    private let norm: SpectralNorm

    /// Of the parameters whose layers say ``ParameterSpec/isSpectral``, or of all weights with inputs and outputs; nil
    /// where there are none. u and v are drawn as first values are: each from a key of its own, on every rank alike.
    public init?(of store: ParameterStore, all: Bool, seed: UInt64, role: Int) {
        var count = 0
        func take(_ size: Int) -> Range<Int> {
            defer { count += (size + 15) / 16 * 16 }
            return count ..< count + size
        }
        var drawn: [(range: Range<Int>, number: Int, layer: Int)] = []
        for (number, entry) in store.entries.enumerated() {
            guard all || entry.specification.isSpectral, let form = SpectralNorm.Form(entry.specification) else {
                precondition(!entry.specification.isSpectral, "\(entry.name) is no matrix")
                continue
            }
            let u = take(form.outputs), v = take(form.rest)
            entries.append(Entry(name: entry.name, range: entry.range, form: form, u: u, v: v))
            drawn += [(u, number, 0), (v, number, 1)]
        }
        guard !entries.isEmpty else { return nil }
        state = FloatBuffer(count: count)
        norm = SpectralNorm(entries.map(\.form))
        for (range, number, layer) in drawn {
            let vector = state.values[range]
            Draws(seed: seed, purpose: .spectralVectors, step: number, inner: role)
                .fillNormal(vector, samples: 1, layer: layer)
            let length = Float(Reductions.squaredNorm(of: vector).squareRoot())
            for index in 0 ..< vector.count { vector[index] /= length }
        }
    }

    /// u and v with their names: `0.dense/weight/u`.
    public var named: [(name: String, dimensions: [Int], values: Floats)] {
        entries.flatMap { entry in
            [
                ("\(entry.name)/u", [entry.u.count], state.values[entry.u]),
                ("\(entry.name)/v", [entry.v.count], state.values[entry.v]),
            ]
        }
    }

    /// σ of each such weight, `0.dense/weight`, at the last ``refresh(_:into:)`` or ``normalise(_:into:)``.
    public var sigmas: [(name: String, sigma: Double)] { entries.map { ($0.name, $0.sigma) } }

    /// One power iteration, then all parameters as the network is to use them.
    public func refresh(_ values: Floats, into effective: Floats) {
        for number in entries.indices {
            let entry = entries[number]
            entries[number].sigma = norm.iterate(
                values[entry.range], entry.form, u: state.values[entry.u], v: state.values[entry.v])
        }
        divide(values, into: effective)
    }

    /// The same with u and v as they are: the bits of the ``refresh(_:into:)`` that led to these.
    public func normalise(_ values: Floats, into effective: Floats) {
        for number in entries.indices {
            let entry = entries[number]
            entries[number].sigma = norm.norm(
                values[entry.range], entry.form, u: state.values[entry.u], v: state.values[entry.v])
        }
        divide(values, into: effective)
    }

    /// The gradient with respect to the parameters, given that with respect to the effective ones, which the last
    /// ``refresh(_:into:)`` has made. `target` may be `gradient`.
    public func pullBack(_ gradient: Floats, effective: Floats, into target: Floats) {
        copyOthers(gradient, into: target)
        for number in entries.indices {
            let entry = entries[number]
            SpectralNorm.pullBack(
                gradient[entry.range], normalised: effective[entry.range], entry.form, u: state.values[entry.u],
                v: state.values[entry.v], norm: entry.sigma, into: target[entry.range])
        }
    }

    private func divide(_ values: Floats, into effective: Floats) {
        copyOthers(values, into: effective)
        for number in entries.indices {
            let entry = entries[number]
            SpectralNorm.divide(values[entry.range], by: entry.sigma, into: effective[entry.range])
        }
    }

    /// What lies between the weights.
    private func copyOthers(_ values: Floats, into target: Floats) {
        precondition(values.count == target.count, "\(values.count) values into \(target.count)")
        guard values.base != target.base else { return }
        var end = 0
        for number in entries.indices {
            let range = entries[number].range
            target[end ..< range.lowerBound].copy(from: values[end ..< range.lowerBound])
            end = range.upperBound
        }
        target[end ..< target.count].copy(from: values[end ..< values.count])
    }
}

extension SpectralNorm.Form {
    /// Nil for what has no outputs and inputs: a bias, a scale.
    fileprivate init?(_ parameter: ParameterSpec) {
        let sizes = parameter.dimensions
        guard sizes.count > 1 else { return nil }
        if parameter.layout.hasSuffix("O") {
            self = .outputsLast(rest: parameter.count / sizes.last!, outputs: sizes.last!)
        } else if parameter.layout.hasSuffix("OI") {
            let (outputs, inputs) = (sizes[sizes.count - 2], sizes[sizes.count - 1])
            self = .outputsBeforeInputs(
                blocks: parameter.count / (outputs * inputs), outputs: outputs, inputs: inputs)
        } else {
            return nil
        }
    }
}
