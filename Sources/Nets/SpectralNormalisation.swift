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
        /// Where the two halves of σ's bits are.
        let sigma: Int
        /// What lies before the weight, from the one before it on, and after the last one.
        var others: [Range<Int>]
    }

    /// u, v and σ of every such weight.
    public let state: FloatBuffer
    /// What of ``state`` belongs to each such weight.
    public let parts: [Range<Int>]
    private let entries: [Entry]
    private let norm: SpectralNorm

    /// Of the parameters whose layers say ``ParameterSpec/isSpectral``, or of all weights with inputs and outputs; nil
    /// where there are none. u and v are drawn as first values are: each from a key of its own, on every rank alike.
    public convenience init?(of store: ParameterStore, all: Bool, seed: UInt64, role: Int) {
        self.init(
            of: store, all: all, seed: seed, role: role, in: { parts, _ in FloatBuffer(count: parts.last!.upperBound) },
            only: { _ in true })
    }

    /// The same in memory that several ranks may have once. `memory` makes it, given the part of it that belongs
    /// to each such weight, and the values that the weight has; the vectors of `only` are drawn here, others elsewhere.
    public init?(
        of store: ParameterStore, all: Bool, seed: UInt64, role: Int,
        in memory: (_ parts: [Range<Int>], _ weights: [Int]) throws -> FloatBuffer, only isMine: (Int) -> Bool
    ) rethrows {
        var count = 0, end = 0
        func take(_ size: Int) -> Range<Int> {
            defer { count += (size + 15) / 16 * 16 }
            return count ..< count + size
        }
        var entries: [Entry] = [], parts: [Range<Int>] = [], numbers: [Int] = []
        for (number, entry) in store.entries.enumerated() {
            guard all || entry.specification.isSpectral, let form = SpectralNorm.Form(entry.specification) else {
                precondition(!entry.specification.isSpectral, "\(entry.name) is no matrix")
                continue
            }
            let start = count
            entries.append(
                Entry(
                    name: entry.name, range: entry.range, form: form, u: take(form.outputs), v: take(form.rest),
                    sigma: take(2).lowerBound, others: [end ..< entry.range.lowerBound]))
            parts.append(start ..< count)
            numbers.append(number)
            end = entry.range.upperBound
        }
        guard !entries.isEmpty else { return nil }
        entries[entries.count - 1].others.append(end ..< store.count)
        state = try memory(parts, entries.map(\.range.count))
        (self.entries, self.parts) = (entries, parts)
        norm = SpectralNorm(entries.map(\.form))
        for (place, entry) in entries.enumerated() where isMine(place) {
            for (layer, range) in [entry.u, entry.v].enumerated() {
                let vector = state.values[range]
                Draws(seed: seed, purpose: .spectralVectors, step: numbers[place], inner: role)
                    .fillNormal(vector, samples: 1, layer: layer)
                let length = Float(Reductions.squaredNorm(of: vector).squareRoot())
                for index in 0 ..< vector.count { vector[index] /= length }
            }
            keep(1, as: entry)
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
    public var sigmas: [(name: String, sigma: Double)] { entries.map { ($0.name, sigma($0)) } }

    private func sigma(_ entry: Entry) -> Double {
        let (low, high) = (state.values[entry.sigma].bitPattern, state.values[entry.sigma + 1].bitPattern)
        return Double(bitPattern: UInt64(high) << 32 | UInt64(low))
    }

    private func keep(_ sigma: Double, as entry: Entry) {
        state.values[entry.sigma] = Float(bitPattern: UInt32(truncatingIfNeeded: sigma.bitPattern))
        state.values[entry.sigma + 1] = Float(bitPattern: UInt32(sigma.bitPattern >> 32))
    }

    /// One power iteration, then all parameters as the network is to use them.
    public func refresh(_ values: Floats, into effective: Floats) {
        for number in entries.indices { refresh(number, values, into: effective) }
    }

    /// The same of such weight `number` alone, and of what lies before it that is none.
    public func refresh(_ number: Int, _ values: Floats, into effective: Floats) {
        let entry = entries[number]
        let sigma = norm.iterate(
            values[entry.range], entry.form, u: state.values[entry.u], v: state.values[entry.v])
        keep(sigma, as: entry)
        divide(entry, by: sigma, values, into: effective)
    }

    /// The same as ``refresh(_:into:)`` with u and v as they are: the bits of that which led to these.
    public func normalise(_ values: Floats, into effective: Floats) {
        for number in entries.indices { normalise(number, values, into: effective) }
    }

    /// The same of such weight `number` alone, and of what lies before it that is none.
    public func normalise(_ number: Int, _ values: Floats, into effective: Floats) {
        let entry = entries[number]
        let sigma = norm.norm(values[entry.range], entry.form, u: state.values[entry.u], v: state.values[entry.v])
        keep(sigma, as: entry)
        divide(entry, by: sigma, values, into: effective)
    }

    /// The gradient with respect to the parameters, given that with respect to the effective ones, which the last
    /// ``refresh(_:into:)`` has made. `target` may be `gradient`.
    public func pullBack(_ gradient: Floats, effective: Floats, into target: Floats) {
        for number in entries.indices { pullBack(number, gradient, effective: effective, into: target) }
    }

    /// The same of such weight `number` alone, and of what lies before it that is none.
    public func pullBack(_ number: Int, _ gradient: Floats, effective: Floats, into target: Floats) {
        let entry = entries[number]
        copyOthers(entry, gradient, into: target)
        SpectralNorm.pullBack(
            gradient[entry.range], normalised: effective[entry.range], entry.form, u: state.values[entry.u],
            v: state.values[entry.v], norm: sigma(entry), into: target[entry.range])
    }

    private func divide(_ entry: Entry, by sigma: Double, _ values: Floats, into effective: Floats) {
        copyOthers(entry, values, into: effective)
        SpectralNorm.divide(values[entry.range], by: sigma, into: effective[entry.range])
    }

    private func copyOthers(_ entry: Entry, _ values: Floats, into target: Floats) {
        precondition(values.count == target.count, "\(values.count) values into \(target.count)")
        guard values.base != target.base else { return }
        for range in entry.others { target[range].copy(from: values[range]) }
    }
}

extension SpectralNorm.Form {
    /// Nil for what has no outputs and inputs: a bias, a scale.
    fileprivate init?(_ parameter: ParameterSpec) {
        let sizes = parameter.dimensions
        guard sizes.count > 1 else { return nil }
        if let panels = parameter.panels {
            self = .panels(panels)
        } else if parameter.layout.hasSuffix("O") {
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
