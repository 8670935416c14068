import Collectives
import Kernels
import Nets
import Support

/// The answers that the discriminator would give to the generator, and the way back through them: Metz et al. 2017
/// (arXiv:1611.02163), eqs. 4–7, with Adam's moments as part of what is unrolled, as in the authors' notebook.
///
/// D makes K steps θ₀ → θ₁ → … → θ_K on one minibatch; the generator's cost is taken at θ_K, and its gradient is
/// carried back through every step. With s = r m′ / d, d = c √v′ + ε, the step of Adam (``OptimiserKernels/adam``) is
/// θ′ = θ − s, and of an adjoint x̄ = ∂cost/∂x:
///
///     m̄′ += −r / d · θ̄′          v̄′ += r m′ c / (2 d² √v′) · θ̄′
///     ḡ = (1 − β₁) m̄′ + 2 (1 − β₂) g v̄′,   m̄ = β₁ m̄′,   v̄ = β₂ v̄′
///     θ̄ = θ̄′ + H ḡ,              x̄ += (∂g/∂x)ᵀ ḡ
///
/// H ḡ and (∂g/∂x)ᵀ ḡ, the derivatives of the gradients of D's cost with respect to its parameters and to the images,
/// along ḡ, are central differences of these gradients: (∇L(θ + hḡ) − ∇L(θ − hḡ)) / 2h. Any layers will do, at two
/// more passes an answer.
///
/// What is elementwise each rank does for the slice of the parameters that it moves; those that have one
/// copy of it compute with the displaced parameters that they make together.
final class Unrolling {
    /// K.
    let steps: Int
    /// This rank's slice of D before each of its answers and after the last, and ‖θ‖² of the whole.
    private let states: [OptimiserState]
    private var squaredNorms: [Double]
    /// The gradient that led from each state to the next.
    private let gradients: [FloatBuffer]
    /// This rank's generated examples, the gradient of the generator's cost with respect to them, and a difference of
    /// such gradients.
    let generated, imageGradient, imageDifference: FloatBuffer
    private let player: Player
    private let constants: (beta1: Double, beta2: Schedule, epsilon: Double)
    private let valueAdjoint, firstAdjoint, secondAdjoint: FloatBuffer
    private let upper: FloatBuffer
    /// ḡ, of all parameters.
    private let direction: SharedVectors
    /// The parameters that this rank moves.
    private let slice: Range<Int>

    /// θ, m and v.
    private struct OptimiserState {
        let values, first, second: FloatBuffer

        init(count: Int) {
            (values, first, second) = (FloatBuffer(count: count), FloatBuffer(count: count), FloatBuffer(count: count))
        }
    }

    /// The displacement of a central difference, as a part of the parameters' norm: its error is of the order of the
    /// square of this, and that of rounding of the order of float32's 6 · 10⁻⁸ divided by it.
    private static let displacement = 3e-3

    /// `player` must learn by Adam; `imageValues` are the values of all examples of this rank's part of a minibatch;
    /// `direction` is as long as the player's parameters, and shared where they are.
    init(steps: Int, _ player: Player, imageValues: Int, direction: SharedVectors) {
        precondition(direction.groups == player.state.groups, "the direction is shared by others than the parameters")
        guard case .adam(let beta1, let beta2, let epsilon) = player.optimiser.settings.rule else {
            preconditionFailure("unrolling of \(player.optimiser.settings.rule)")
        }
        self.steps = steps
        self.player = player
        self.direction = direction
        constants = (beta1, beta2, epsilon)
        (generated, imageGradient, imageDifference) = (
            FloatBuffer(count: imageValues), FloatBuffer(count: imageValues), FloatBuffer(count: imageValues)
        )
        slice = player.state.slice
        let count = slice.count
        squaredNorms = [Double](repeating: 0, count: steps + 1)
        states = (0 ... steps).map { _ in OptimiserState(count: count) }
        gradients = (0 ..< steps).map { _ in FloatBuffer(count: count) }
        (valueAdjoint, firstAdjoint, secondAdjoint) = (
            FloatBuffer(count: count), FloatBuffer(count: count), FloatBuffer(count: count)
        )
        upper = FloatBuffer(count: count)
    }

    private var values: Floats { player.network.store.values.values }

    /// Puts down the state that D has before answer `number`, or after the last.
    func keepState(_ number: Int) {
        squaredNorms[number] = Reductions.squaredNorm(of: values)
        states[number].values.values.copy(from: values[slice])
        states[number].first.values.copy(from: player.optimiser.moments[0].values.values[slice])
        states[number].second.values.copy(from: player.optimiser.moments[1].values.values[slice])
    }

    /// Gives D the state before answer `number` back. Collective.
    func restoreState(_ number: Int) throws {
        let state = states[number], start = slice.lowerBound
        let (first, second) = (player.optimiser.moments[0].values.values, player.optimiser.moments[1].values.values)
        try player.state.barrier()
        player.state.change { [values] _, range in
            let kept = range.lowerBound - start ..< range.upperBound - start
            values[range].copy(from: state.values.values[kept])
            first[range].copy(from: state.first.values[kept])
            second[range].copy(from: state.second.values[kept])
        }
        try player.state.barrier()
    }

    func keepGradient(_ gradient: Floats, of number: Int) { gradients[number].values.copy(from: gradient[slice]) }

    /// Begins the way back: θ̄ of the last state is −`gradient`, as the generator's cost is −L.
    func beginReturn(from gradient: Floats) {
        for (place, index) in slice.enumerated() { valueAdjoint.values[place] = -gradient[index] }
        firstAdjoint.values.fill(0)
        secondAdjoint.values.fill(0)
    }

    /// Carries the adjoints back over answer `number`, an update of D made at `progress`. Collective.
    ///
    /// `evaluate(sign)` is called with D displaced to θ + hḡ and then to θ − hḡ, returns ∇L there, and adds sign ·
    /// its image gradients, which are to be divided by 2h: the returned value, nil where ḡ is zero.
    func carryBack(
        _ number: Int, at progress: Progress, evaluate: (_ sign: Float) throws -> Floats
    ) throws -> Double? {
        findDirection(number, at: progress)
        try direction.barrier()
        let length = Reductions.squaredNorm(of: direction.vectors[0].values).squareRoot()
        guard length > 0 else {
            // Nobody may begin with the next direction while another looks at this one.
            try direction.barrier()
            return nil
        }
        let h = Self.displacement * max(squaredNorms[number].squareRoot(), 1) / length
        try displace(from: states[number].values.values, by: Float(h))
        upper.values.copy(from: try evaluate(1)[slice])
        try displace(from: states[number].values.values, by: Float(-h))
        let lower = try evaluate(-1)
        for (place, index) in slice.enumerated() {
            valueAdjoint.values[place] += Float((Double(upper.values[place]) - Double(lower[index])) / (2 * h))
        }
        return 2 * h
    }

    private func displace(from origin: Floats, by distance: Float) throws {
        let direction = direction.vectors[0].values, start = slice.lowerBound
        // Nobody computes with the parameters as they are any more.
        try player.state.barrier()
        player.state.change { [values] _, range in
            for index in range { values[index] = origin[index - start] + distance * direction[index] }
        }
        try player.state.barrier()
    }

    /// ḡ, with the moments' adjoints carried back.
    private func findDirection(_ number: Int, at progress: Progress) {
        let (beta1, epsilon) = (constants.beta1, constants.epsilon), beta2 = constants.beta2.value(at: progress)
        let rate = player.optimiser.rate(at: progress), update = progress.update
        let (first, second, gradient) = (
            states[number + 1].first.values, states[number + 1].second.values, gradients[number].values
        )
        let direction = direction.vectors[0].values[slice]
        let scale = rate / (1 - power(beta1, update)), correction = 1 / (1 - power(beta2, update)).squareRoot()
        for index in 0 ..< gradient.count {
            let root = Double(second[index]).squareRoot(), divisor = root * correction + epsilon
            let value = Double(valueAdjoint.values[index])
            let ofFirst = Double(firstAdjoint.values[index]) - scale / divisor * value
            // A parameter that never had a gradient does not move, whatever its moments.
            let slope = root > 0 ? scale * Double(first[index]) * correction / (2 * divisor * divisor * root) : 0
            let ofSecond = Double(secondAdjoint.values[index]) + slope * value
            direction[index] =
                root > 0 ? Float((1 - beta1) * ofFirst + 2 * (1 - beta2) * Double(gradient[index]) * ofSecond) : 0
            firstAdjoint.values[index] = Float(beta1 * ofFirst)
            secondAdjoint.values[index] = Float(beta2 * ofSecond)
        }
    }

    private func power(_ base: Double, _ exponent: Int) -> Double {
        (0 ..< exponent.bitWidth).reversed().reduce(1) { exponent >> $1 & 1 == 1 ? $0 * $0 * base : $0 * $0 }
    }
}
