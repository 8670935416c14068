import Collectives
import Kernels
import Nets
import Support

extension Player.Settings {
    /// Bytes that the ranks of `group`, those of a node, want to share for this player, with so many copies of its
    /// state; `more`: vectors beside its parameters, their moments and what spectral norms take.
    package func sharedBytes(
        _ more: Int = 0, shards: ShardTable, group: Range<Int>, copies: Int
    ) throws(ShapeError) -> Int {
        guard group.count > 1 else { return 0 }
        let count = try Network.valueCount(of: layers, input: input, name: role.name)
        let vectors = 1 + optimiser.rule.moments.count + more + (try normalisesSpectrally ? 2 : 0)
        return MemoryLayout<Float>.stride
            * (GradientSum.sharedCount(count, table: shards, group: group)
                + copies * SharedVectors.sharedCount(count, number: vectors))
    }
}

extension Player.Settings {
    /// Whether a weight is divided by its spectral norm.
    fileprivate var normalisesSpectrally: Bool {
        get throws(ShapeError) {
            guard !isSpectral else { return true }
            return try Network.hasSpectralWeights(of: layers, input: input, name: role.name)
        }
    }
}

extension Game {
    private typealias Players = (generator: Player.Settings, discriminator: Player.Settings, encoder: Player.Settings?)

    /// What its players are made of, given the shape of an example.
    private func players(example: Shape) -> Players {
        let packed = Packing(size: packing, example: judged(example), capacity: packing).shape
        return (
            player(.generator, input: .vector(latent.size)), player(.discriminator, input: packed),
            encoder.map { _ in player(.encoder, input: example) }
        )
    }

    /// Whether a weight is divided by its spectral norm. Of layers that do not fit each other, which are refused when
    /// the networks are built: no.
    public var normalisesSpectrally: Bool {
        do {
            let example = try Network.outputShape(
                of: generator, input: .vector(latent.size), name: Player.Role.generator.name)
            let players = players(example: example)
            return try players.generator.normalisesSpectrally || players.discriminator.normalisesSpectrally
                || players.encoder?.normalisesSpectrally == true
        } catch {
            return false
        }
    }

    /// What one of its players is made of.
    func player(_ role: Player.Role, input: Shape) -> Player.Settings {
        let (layers, optimiser) =
            switch role {
            case .generator: (generator, generatorOptimiser)
            case .encoder: (encoder!.layers, encoder!.optimiser)
            default: (discriminator, discriminatorOptimiser)
            }
        var settings = Player.Settings(role, layers, optimiser, input: input)
        settings.isSpectral = spectralPlayers.contains(role)
        if role == .discriminator {
            settings.halves = 2 + penaltyPlaces.parts
            settings.isPenalised = !penalties.isEmpty
        }
        return settings
    }

    /// Bytes that the ranks of `group`, those of a node, want to share when they train this game on examples of a
    /// shape, with so many copies of the networks' state: what has to fit beside anything else that they share.
    public func sharedBytes(
        example: Shape, shards: ShardTable, group: Range<Int>, copies: Int = 1
    ) throws(ShapeError) -> Int {
        let players = players(example: example)
        let unrolled = updates.contains { $0.unrollingSteps > 0 }
        return try players.generator.sharedBytes(average == nil ? 0 : 1, shards: shards, group: group, copies: copies)
            + players.discriminator.sharedBytes(unrolled ? 1 : 0, shards: shards, group: group, copies: copies)
            + (players.encoder?.sharedBytes(shards: shards, group: group, copies: copies) ?? 0)
    }
}

/// What ranks have once: whether it is as it should be, and what there was no room for.
extension NetworkTrainer {
    private var sharedVectors: [(name: String, vectors: SharedVectors)] { players.flatMap(\.sharedVectors) }

    /// Of what there are more copies, or fewer, than is best for memory and speed, in a sentence; nil where of nothing.
    public var lackOfRoom: String? {
        guard communicator.domainGroups.contains(where: { $0.count > 1 }) else { return nil }
        let names = sharedVectors.filter { !$0.vectors.isShared }.map(\.name)
        guard let last = names.last else {
            return sharedVectors.allSatisfy { $0.vectors.groups == communicator.domainGroups }
                ? nil
                : "no shared memory for one copy of the networks a NUMA domain (see /dev/shm and the job's memory "
                    + "limit): the ranks of a node have one, some of them far from its memory, which is slower and "
                    + "gives the same result"
        }
        let all = names.count == 1 ? last : names.dropLast().joined(separator: ", ") + " and \(last)"
        return
            "no shared memory for one copy a node of \(all) (see /dev/shm and the job's memory limit): every rank "
            + "holds its own, which takes more memory and gives the same result"
    }

    /// How many copies of the state there are, where that is one a NUMA domain and a node has several; else nil.
    public var copiesOfDomains: Int? {
        let groups = communicator.domainGroups
        let areAll = sharedVectors.allSatisfy { $0.vectors.groups == groups }
        return areAll && groups != communicator.nodeGroups ? groups.count : nil
    }

    /// Throws the same failure on every rank where a rank's state is not that of the others, or where ranks that have
    /// one copy have something else in common than they have written: it names the rank. Collective.
    public func requireEqualReplicas() throws {
        watchdog?.enter(.exchange, step: stepsDone)
        for (name, vectors) in sharedVectors {
            try vectors.requireUndisturbed(communicator, "at step \(stepsDone) \(name)")
        }
        var hash = UInt64(stepsDone)
        for array in ownState { hash = Collectives.fingerprint(of: array, seed: hash) }
        for (_, vectors) in sharedVectors { hash = hash &* 31 &+ (try vectors.fingerprint(communicator)) }
        try communicator.requireEqual(hash, "the training states at step \(stepsDone)")
    }

    /// Of the state, what every rank has for itself whatever the room.
    private var ownState: [Floats] {
        players.map(\.network.store.statistics.values) + sharedState.map(\.values.stored)
    }

    /// Throws the same failure on every rank where one computes other numbers than the others from the same: the
    /// gradients of a shard of generated examples with respect to the parameters of both players as they are, and the
    /// update of some parameters by them. Nothing of the state is changed. Collective.
    ///
    /// What a rank has computed wrongly is in the sum that all share, and in a slice that it alone has moved: no
    /// comparison of states would show it.
    public func requireEqualArithmetic() throws {
        watchdog?.enter(.exchange, step: stepsDone)
        try communicator.requireEqual(
            hashOfGradients(), "the gradients that every rank has computed of the same numbers at step \(stepsDone)")
    }
}

extension Trainer {
    public func hashOfGradients() throws -> UInt64 {
        let rows = 0 ..< shards.fewestRowsOfAShard(batch: batch), draws = draws(.generatorNoise, 0, rows)
        let conditions = game.conditioning.map { conditioning in
            let values = FloatBuffer(count: rows.count * conditioning.condition.width)
            conditioning.fill(values.values, count: rows.count, draws)
            return values
        }
        func forward(_ player: Player, _ input: Batch) throws -> Batch {
            let network = player.network
            return try network.forward(
                input, parameters: player.parameters, mode: .training(draws),
                conditions: network.condition == nil ? .none : conditions?.values ?? .none)
        }
        func backward(_ player: Player, _ gradient: Batch) throws -> Batch {
            try player.network.backward(
                from: gradient, parameters: player.parameters, into: player.slot, inputGradient: true)!
        }
        let made = try forward(generator, latents.fill(count: rows.count, draws))
        // With an encoder: of what G makes, from D's input through the codes alone.
        let codes = try encoding.map { try forward($0.player, made) }
        let packs = packing.join(codes.map { judged(made, by: $0) } ?? made)
        let logits = try forward(discriminator, packs)
        slopes.values[0 ..< logits.count].fill(1 / Float(logits.count))
        var gradient = try backward(
            discriminator, Batch(slopes.values[0 ..< logits.count], count: logits.count, shape: .vector(1)))
        gradient = packing.split(gradient)
        if let encoding {
            gradient = try backward(
                encoding.player, encoding.kind.isBidirectional ? encoding.codes(gradient) : gradient)
        }
        _ = try generator.network.backward(
            from: gradient, parameters: generator.parameters, into: generator.slot, inputGradient: false)
        return players.reduce(0) { hash, player in
            let ofUpdate = player.hashOfUpdate(at: progress(update: stepsDone + 1))
            return Collectives.fingerprint(of: player.slot, seed: hash &+ ofUpdate)
        }
    }
}

extension Player {
    /// A hash of what the first parameters and their moments would be after an update by the gradient that is in the
    /// slot.
    package func hashOfUpdate(at progress: Progress) -> UInt64 {
        let range = state.parts[0], copies = state.vectors.map { FloatBuffer($0.values[range].array) }
        let optimiser = Optimiser(optimiser.settings, moments: Array(copies[1...]))
        _ = optimiser.update(
            copies[0].values, gradients: slot[range], of: 0 ..< range.count, factor: 1, at: progress)
        return copies.reduce(0) { fingerprint(of: $1.values, seed: $0) }
    }
}
