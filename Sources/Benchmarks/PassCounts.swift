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
    private var runs: [LayerPass: Int] = [:], calls: [LayerPass: Int] = [:]

    /// The passes of a layer that the step may run, with how often it does: on the rows of a shard, or of a half.
    subscript(pass: LayerPass) -> Int { runs[pass] ?? 0 }

    /// The same, halves that run as one (``Layer/joinsParts``) counted once: how often the weights are read.
    func calls(_ pass: LayerPass) -> Int { calls[pass] ?? 0 }

    /// Of layer `number` of a player's network. Nil where it is not the same at every step: of unrolled steps, which
    /// repeat passes as they need, and of a discriminator of which a penalty is taken at some updates only.
    init?(_ number: Int, of network: Network, _ role: Player.Role, in game: Game) {
        guard game.updates.allSatisfy({ $0.unrollingSteps == 0 }) else { return nil }
        let layer = NetworkPosition(number, in: network, joins: !game.needsWholeMinibatches)
        guard role == .discriminator else {
            addGenerators(game, layer)
            return
        }
        guard game.penalties.allSatisfy({ $0.every == 1 }) else { return nil }
        for update in game.updates {
            if update.moves(.discriminator) { addDiscriminators(game, layer) }
            // The generator's gradient goes through the whole of D. At once, D's own forward serves.
            if update.moves(.generator) {
                if !update.moves(.discriminator) {
                    let halves = game.objective.isRelativistic ? 2 : 1
                    add(halves, .forward, calls: layer.joinsParts ? 1 : halves)
                }
                add(1, .inputGradient)
            }
        }
    }

    private mutating func add(_ count: Int, _ pass: LayerPass, calls made: Int? = nil) {
        runs[pass, default: 0] += count
        calls[pass, default: 0] += made ?? count
    }

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
        let parts = DiscriminatorParts(game, join: layer.joinsParts),
            (usual, penalised) = (parts.usual, parts.penalised)
        add(usual, .forward)
        add(penalised, .forward)
        guard penalised.count > 0 else {
            if layer.isAboveParameters { add(usual, .inputGradient) }
            if layer.hasParameters { add(usual, .weightGradient) }
            return
        }
        add(penalised, .adjoint)
        if layer.isAboveParameters { add(usual, .adjoint) }
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

    private mutating func add(_ parts: DiscriminatorParts.Group, _ pass: LayerPass) {
        add(parts.count, pass, calls: parts.spans)
    }
}

/// The parts of D's batch in its own update: real and generated examples, then those that penalties alone look at.
private struct DiscriminatorParts {
    /// Parts, and how many groups of neighbours among them run as one.
    typealias Group = (count: Int, spans: Int)
    let penalised: Group, usual: Group

    init(_ game: Game, join: Bool) {
        var isPenalised = [false, false]
        for penalty in game.penalties {
            switch penalty.kind {
            case .r1: isPenalised[0] = true
            case .r2: isPenalised[1] = true
            case .gradientPenalty, .dragan: isPenalised.append(true)
            }
        }
        func group(_ wanted: Bool) -> Group {
            let mine = isPenalised.indices.filter { isPenalised[$0] == wanted }
            return (mine.count, join ? mine.count { $0 == 0 || isPenalised[$0 - 1] != wanted } : mine.count)
        }
        (penalised, usual) = (group(true), group(false))
    }
}

/// What decides which passes a layer takes part in.
private struct NetworkPosition {
    /// Whether the parts of a shard run through it as one.
    let joinsParts: Bool
    let hasParameters: Bool
    /// Whether a layer that it depends on has parameters.
    let isAboveParameters: Bool
    let hasCurvature: Bool
    /// Whether a layer that depends on it has curvature.
    let isBelowCurvature: Bool
    /// Whether a layer that depends on it reads the tangent.
    let passesTangentOn: Bool

    init(_ number: Int, in network: Network, joins: Bool) {
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
        joinsParts = joins && network.computed[number].joinsParts
        hasParameters = withParameters.contains(number)
        isAboveParameters = isAbove(number)
        hasCurvature = isCurved(number)
        isBelowCurvature = dependent.contains(where: isCurved)
        passesTangentOn = dependent.contains { withParameters.contains($0) || isCurved($0) }
    }
}
