import Adversarial
import Nets

/// A pass of one layer, by its name in the table and in JSON.
enum LayerPass: String, CaseIterable {
    case forward
    case inputGradient = "input gradient"
    case weightGradient = "weight gradient"
    /// Those of a discriminator with penalties (``TangentLayer``). The adjoint is the input gradient of its own update,
    /// from 1 at every penalised logit.
    case adjoint, tangent, curvature
    /// Of the cost and of the penalties together.
    case parameterGradients = "parameter gradients"
}

/// How often a step runs each pass of one layer on one shard.
struct PassCounts: Equatable {
    private var runs: [LayerPass: Int] = [:]

    /// The passes of a layer that the step may run, with how often it does.
    subscript(pass: LayerPass) -> Int { runs[pass] ?? 0 }

    /// Of layer `number` of a player's network. Nil where it is not the same at every step: of unrolled steps, which
    /// repeat passes as they need, and of a discriminator of which a penalty is taken at some updates only.
    init?(_ number: Int, of network: Network, _ role: Player.Role, in game: Game) {
        guard game.updates.allSatisfy({ $0.unrollingSteps == 0 }) else { return nil }
        let layer = NetworkPosition(number, in: network)
        guard role == .discriminator else {
            addGenerators(game, layer)
            return
        }
        guard game.penalties.allSatisfy({ $0.every == 1 }) else { return nil }
        for update in game.updates {
            if update.moves(.discriminator) { addDiscriminators(game, layer) }
            // The generator's gradient goes through the whole of D. At once, D's own forward serves.
            if update.moves(.generator) {
                if !update.moves(.discriminator) { add(game.objective.isRelativistic ? 2 : 1, .forward) }
                add(1, .inputGradient)
            }
        }
    }

    private mutating func add(_ count: Int, _ pass: LayerPass) { runs[pass, default: 0] += count }

    private mutating func addGenerators(_ game: Game, _ layer: NetworkPosition) {
        for update in game.updates {
            add(1, .forward)
            guard update.moves(.generator) else { continue }
            if layer.isAboveParameters { add(1, .inputGradient) }
            if layer.hasParameters { add(1, .weightGradient) }
        }
    }

    /// An update of D: real and generated examples, and those that penalties alone look at, are parts of one batch.
    private mutating func addDiscriminators(_ game: Game, _ layer: NetworkPosition) {
        let penalised = game.penalties.count
        let apart = game.penalties.count {
            switch $0.kind {
            case .r1, .r2: false
            case .gradientPenalty, .dragan: true
            }
        }
        let parts = 2 + apart, usual = parts - penalised
        add(parts, .forward)
        guard penalised > 0 else {
            if layer.isAboveParameters { add(2, .inputGradient) }
            if layer.hasParameters { add(2, .weightGradient) }
            return
        }
        add(penalised + (layer.isAboveParameters ? usual : 0), .adjoint)
        if layer.passesTangentOn { add(penalised, .tangent) }
        if layer.hasParameters {
            add(usual, .weightGradient)
            add(penalised, .parameterGradients)
        }
        if layer.isAboveParameters && layer.hasCurvature { add(penalised, .curvature) }
        // q of the curvature above goes on as a gradient does.
        guard layer.isBelowCurvature else { return }
        if layer.isAboveParameters { add(penalised, .inputGradient) }
        if layer.hasParameters { add(penalised, .weightGradient) }
    }
}

/// What decides which passes a layer takes part in.
private struct NetworkPosition {
    let hasParameters: Bool
    /// Whether a layer that it depends on has parameters.
    let isAboveParameters: Bool
    let hasCurvature: Bool
    /// Whether a layer that depends on it has curvature.
    let isBelowCurvature: Bool
    /// Whether a layer that depends on it reads the tangent.
    let passesTangentOn: Bool

    init(_ number: Int, in network: Network) {
        let nodes = network.nodes, withParameters = Set(network.store.entries.map(\.layer))
        // Of each value: whether a node that it depends on has parameters.
        let leads = nodes.indices.reduce(into: [false]) { leads, node in
            leads.append(withParameters.contains(node) || nodes[node].inputs.contains { leads[$0] })
        }
        func isAbove(_ node: Int) -> Bool { nodes[node].inputs.contains { leads[$0] } }
        func isCurved(_ node: Int) -> Bool {
            isAbove(node) && (nodes[node].layer as? any TangentLayer)?.hasCurvature == true
        }
        var dependent: Set = [number]
        for later in nodes.indices[(number + 1)...] {
            if nodes[later].inputs.contains(where: { dependent.contains($0 - 1) }) { dependent.insert(later) }
        }
        dependent.remove(number)
        hasParameters = withParameters.contains(number)
        isAboveParameters = isAbove(number)
        hasCurvature = isCurved(number)
        isBelowCurvature = dependent.contains(where: isCurved)
        passesTangentOn = dependent.contains { withParameters.contains($0) || isCurved($0) }
    }
}
