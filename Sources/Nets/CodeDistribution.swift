import Kernels

/// The normal distribution N(m, C) of the codes that an autoencoder made of late, so that its decoder can be a
/// generator: z = m + L ε, C = L Lᵀ, ε ~ N(0, I). Ghosh et al. 2020 (arXiv:1903.12436), §4, fit it when training is
/// over; here it follows the training.
///
/// At step t it moves by w = max(1/t, 1/100) towards the mean b and the covariance S of the codes of a minibatch, to
/// the moments of the mixture of both:
///
///     m ← m + w (b − m),   C ← (1 − w) (C + w (b − m) (b − m)ᵀ) + w S
public final class CodeDistribution {
    /// Values of a code.
    public let size: Int
    /// m [size] and C [size, size]: the state.
    public let mean, covariance: FloatBuffer
    /// Of some codes, as Double, and the lower half of Σ z zᵀ.
    private var rows: [Double]
    private var products: [Double]
    /// L by rows; nil where C has changed since.
    private var knownFactor: FloatBuffer?

    private static let leastShare = 0.01

    /// N(0, I). `capacity`: codes that are summed at once, at most.
    public init(size: Int, capacity: Int = 0) {
        self.size = size
        (mean, covariance) = (FloatBuffer(count: size), FloatBuffer(count: size * size))
        for index in 0 ..< size { covariance.values[index * size + index] = 1 }
        rows = [Double](repeating: 0, count: capacity * size)
        products = [Double](repeating: 0, count: capacity == 0 ? 0 : size * size)
    }

    // MARK: - Following the codes

    /// Numbers that some codes are summed to: Σ z, then the lower half of Σ z zᵀ by rows.
    public var sumCount: Int { size + size * (size + 1) / 2 }

    /// Gives the sums of `codes`, number by number, to `add`.
    public func sum(_ codes: Batch, add: (_ number: Int, _ value: Double) -> Void) {
        precondition(codes.count * size <= rows.count, "\(codes.count) codes of \(size) values at once")
        for index in 0 ..< codes.values.count { rows[index] = Double(codes.values[index]) }
        for index in products.indices { products[index] = 0 }
        Cholesky.addOuterProducts(rows, count: codes.count, order: size, to: &products)
        for column in 0 ..< size {
            var sum = 0.0
            for row in 0 ..< codes.count { sum += rows[row * size + column] }
            add(column, sum)
        }
        var number = size
        for row in 0 ..< size {
            for column in 0 ... row {
                add(number, products[row * size + column])
                number += 1
            }
        }
    }

    /// Moves towards a minibatch of `count` codes, that of step `step` from 1, whose sums are `sum`.
    public func move(count: Int, step: Int, sum: (_ number: Int) -> Double) {
        let share = max(1 / Double(step), Self.leastShare), mean = mean.values, covariance = covariance.values
        var number = size
        for row in 0 ..< size {
            let ofRow = sum(row) / Double(count), apart = ofRow - Double(mean[row])
            for column in 0 ... row {
                let ofColumn = sum(column) / Double(count), old = Double(covariance[row * size + column])
                let ofBatch = sum(number) / Double(count) - ofRow * ofColumn
                let value = Float(
                    (1 - share) * (old + share * apart * (ofColumn - Double(mean[column]))) + share * ofBatch)
                covariance[row * size + column] = value
                covariance[column * size + row] = value
                number += 1
            }
        }
        for index in 0 ..< size {
            mean[index] = Float(Double(mean[index]) + share * (sum(index) / Double(count) - Double(mean[index])))
        }
        changed()
    }

    /// The state has been given other values.
    public func changed() { knownFactor = nil }

    // MARK: - Drawing codes

    /// L by rows, zero above the diagonal.
    public var factor: FloatBuffer {
        if let knownFactor { return knownFactor }
        let values = covariance.values.array.map(Double.init)
        let scale = (0 ..< size).reduce(0) { $0 + values[$1 * size + $1] } / Double(size)
        let found = FloatBuffer(count: size * size)
        // What float32 may have rounded below zero is added to all variances: at first a millionth of their mean.
        var floor = 1e-6 * scale
        while floor > 0, floor.isFinite {
            var raised = values
            for index in 0 ..< size { raised[index * size + index] += floor }
            if let lower = Cholesky.decompose(raised, order: size) {
                for index in lower.indices { found.values[index] = Float(lower[index]) }
                break
            }
            floor *= 10
        }
        knownFactor = found
        return found
    }

    /// z = m + L ε of each ε of `latents`.
    public func codes(of latents: Batch, into target: Floats) -> Batch {
        let codes = Batch(target[0 ..< latents.values.count], count: latents.count, shape: latents.shape)
        let factor = factor
        withExtendedLifetime(factor) {
            for row in 0 ..< latents.count {
                let latent = latents[row], code = codes[row]
                for index in 0 ..< size {
                    let weights = factor.values[index * size ..< index * size + index + 1]
                    var sum = mean.values[index]
                    for other in 0 ... index { sum += weights[other] * latent[other] }
                    code[index] = sum
                }
            }
        }
        return codes
    }

    /// Lᵀ g: the gradient with respect to each ε of which that with respect to z is g.
    public func slopes(_ gradient: Batch, into target: Floats) -> Batch {
        let slopes = Batch(target[0 ..< gradient.values.count], count: gradient.count, shape: gradient.shape)
        let factor = factor
        slopes.values.fill(0)
        withExtendedLifetime(factor) {
            for row in 0 ..< gradient.count {
                let given = gradient[row], slope = slopes[row]
                for index in 0 ..< size {
                    let weights = factor.values[index * size ..< index * size + index + 1]
                    for other in 0 ... index { slope[other] += weights[other] * given[index] }
                }
            }
        }
        return slopes
    }
}
