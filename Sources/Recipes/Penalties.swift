import Adversarial
import Nets
import Support
import Yams

/// What an item of `objective.penalties` names.
private enum PenaltyKind: String, CaseIterable { case r1, r2, gradientPenalty, dragan, lecam }

extension Section {
    /// `[{kind: r1, gamma: 1}, …]`: the penalties, and LeCam's regulariser apart. Absent: none.
    func penalties(_ key: String) throws(Failure) -> (penalties: [Penalty], leCam: LeCam?) {
        let forms = PenaltyKind.allCases.map { "[{kind: \($0.rawValue)}]" }
        note(
            key, "a list of penalties", default: Section.nothing,
            meaning: "terms of the discriminator's cost beside `loss`, at most one of a kind", alternatives: forms)
        guard let node = node(key) else {
            allow(key)
            return ([], nil)
        }
        guard case .sequence(let items) = node else {
            throw wrong(key, node, "a list, such as [{kind: r1, gamma: 1}]")
        }
        var penalties: [Penalty] = [], leCam: LeCam?, kinds: [PenaltyKind] = [], resolved: [Node] = []
        for (index, item) in items.enumerated() {
            let section = try Section(item, path: "\(name(key)).\(index)", origins)
            guard section.node("kind") != nil else { throw section.missing("kind") }
            let kind = try section.choice("kind", default: PenaltyKind.r1, meaning: "what is held")
            guard !kinds.contains(kind) else {
                throw .configuration(
                    section.name("kind"), "there is a \(kind.rawValue) already",
                    remedy: "Give each kind once; the weight says how strong it is.")
            }
            kinds.append(kind)
            if kind == .lecam { leCam = try section.leCam() } else { penalties.append(try section.penalty(kind)) }
            resolved.append(try section.finish())
        }
        record(key, Node(resolved))
        return (penalties, leCam)
    }

    private func penalty(_ kind: PenaltyKind) throws(Failure) -> Penalty {
        let weight: Schedule, penalised: Penalty.Kind
        switch kind {
        case .r1, .r2, .lecam:
            weight = try schedule("gamma", default: 1, 0 ... 1e9, meaning: "γ of γ/2 · mean ‖∇ₓ s(x)‖²")
            penalised = kind == .r1 ? .r1 : .r2
        case .gradientPenalty, .dragan:
            weight = try schedule("weight", default: 10, 0 ... 1e9, meaning: "λ of λ · mean (‖∇ₓ s(x)‖ − target)²")
            let target = try number("target", default: 1, 0 ... 1e9, meaning: "the norm that the gradient is held to")
            penalised = kind == .dragan ? .dragan(target: target, deviation: .nan) : .gradientPenalty(target: target)
        }
        let every = try integer(
            "every", default: 1, 1 ... 1 << 20,
            meaning: "taken at every so many updates of the discriminator, with so many times the weight")
        return Penalty(penalised, weight: weight, every: every)
    }

    private func leCam() throws(Failure) -> LeCam {
        let weight = try schedule(
            "weight", default: 0.3, 0 ... 1e9, meaning: "of the regulariser (Tseng et al. 2021)")
        let decay = try number("decay", default: 0.99, 0 ... 0.999_999, meaning: "of the mean logits' averages")
        return LeCam(weight: weight, decay: decay)
    }

    /// `spectral: {discriminator: true}`: the players of which every weight is divided by its spectral norm.
    func spectralPlayers(_ key: String) throws(Failure) -> Set<Player.Role> {
        guard node(key) != nil else {
            allow(
                key, "a group", meaning: "every weight of a network by its spectral norm", form: "{discriminator: true}"
            )
            return []
        }
        return try section(key) { (section) throws(Failure) in
            var players: Set<Player.Role> = []
            for role in [Player.Role.discriminator, .generator]
            where try section.flag(
                role.name, meaning: "every weight of the \(role.name) is divided by its spectral norm")
            {
                players.insert(role)
            }
            return players
        }
    }

    /// `average: {half_life: 10000, ramp: 0.05}`: the average of the generator's parameters. Absent: none.
    func average(_ key: String) throws(Failure) -> AverageSettings? {
        guard node(key) != nil else {
            allow(
                key, "a group", meaning: "an average of the generator's parameters, which samples are made with",
                form: "{half_life: 10000}")
            return nil
        }
        return try section(key) { (section) throws(Failure) in
            let halfLife = try section.schedule(
                "half_life", 0 ... 1e12,
                meaning: "examples, a batch for each update of the generator, after which a value's share has halved")
            let ramp = try section.optionalNumber(
                "ramp", 0 ... 1e6,
                meaning:
                    "the half-life is at most this much of the examples of all updates before: 0.05 in StyleGAN2"
            )
            return AverageSettings(halfLife: halfLife, ramp: ramp)
        }
    }
}
