import Nets

/// What a step tells of itself at its end, where a trace is wanted.
extension Trainer {
    func writeTrace() throws {
        guard let trace else { return }
        for inner in 0 ..< k {
            trace.losses(
                inner: inner,
                [
                    "loss_real": statistics.cost(.discriminator(inner: inner, .real)),
                    "loss_fake": statistics.cost(.discriminator(inner: inner, .fake)),
                ])
            let places: KeyValuePairs<String, PenaltyPlaces> = [
                "real": .real, "fake": .fake, "between": .between, "around": .around,
            ]
            for (name, place) in places {
                guard let figures = statistics.penalty(place, inner: inner) else { continue }
                trace.losses(inner: inner, ["loss_penalty_\(name)": figures.cost])
            }
            if let cost = statistics.leCam(inner: inner) { trace.losses(inner: inner, ["loss_lecam": cost]) }
        }
        if let means = leCam?.means.values {
            trace.losses(inner: k - 1, ["lecam_real": Double(means[0]), "lecam_fake": Double(means[1])])
        }
        let costs = statistics.costsOfOthers
        for update in game.updates where update.players != [.discriminator] {
            trace.begin(update)
            if update.moves(.generator) { trace.losses(inner: nil, ["loss": costs.generator]) }
            guard let cost = costs.encoder, update.moves(.encoder), !update.reconstructs else { continue }
            trace.losses(inner: nil, ["loss_encoder": cost])
        }
        try trace.finishStep(players)
    }
}
