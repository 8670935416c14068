import Collectives
import Foundation

/// What a step takes on P ranks, R on each of p nodes, by the times of its parts on the ranks at hand.
///
/// A rank has one shard of n samples. In each of the step's updates the gradients of the players that move are summed
/// (b bytes each): within a node in shared memory, when all is computed; between nodes by messages, piece by piece, as
/// soon as a piece is final (see `OrderedExchange`; ``ExchangeTraffic`` counts who sends what).
///
///     step = a + c·n                                   forward and backward passes of a rank alone: a ``Line``
///          + optimiser / R                             the ranks of a node move a slice of its copy each
///          + Σ R·w + (1 + (2q(p − 1) + 1) / P) · b/m   for each gradient, within the node
///          + Σ 2L + maxₖ (Tₖ − tₖ)                     for each update, between nodes
///          + ⌈log₂ P⌉·L + (P − R)·s/B                  the statistics of a step, s bytes of each shard
///
/// w: how long a rank of a node keeps the others of it waiting; m: bytes a second that a rank adds up. It reads each of
/// its node's vectors in part, b bytes in all, and writes b/P of the result; between nodes it also writes its part of
/// the q vectors that the node sends, and reads those of the other nodes.
///
/// L: seconds of a short message; B: bytes a second that a node sends; o: what a message more costs the rank that sends
/// it. Piece k and all after it take Tₖ = Σ (bytes/B + messages·o) on the wire; tₖ is how long before the end of the
/// update's backward passes it is final, as measured, and in proportion to a + c·n. What of an update's messages does
/// not fit beside the computing, or comes last, is waited for: the largest Tₖ − tₖ, and from the last piece a partial
/// sum and then a result. (α, β and what they count: Thakur, Rabenseifner & Gropp 2005, §3; o: Culler et al. 1993.)
///
/// Not in the model: other traffic on the network, ranks of different speed, the processor's time that messages take
/// from the computing beside them, memory that more ranks of a node than were measured share.
public struct ScalingModel: Sendable {
    /// fixed + each · n.
    public struct Line: Encodable, Sendable, Equatable {
        public var fixed: Double
        public var each: Double

        public func callAsFunction(_ count: Double) -> Double { fixed + each * count }

        /// Through `points` with the least sum of squared *relative* errors; neither coefficient is negative.
        public static func fit(_ points: [(count: Double, seconds: Double)]) -> Line {
            precondition(Set(points.map(\.count)).count >= 2, "a line through fewer than two points")
            var (w, x, y, xx, xy) = (0.0, 0.0, 0.0, 0.0, 0.0)
            for (count, seconds) in points {
                let weight = 1 / (seconds * seconds)
                w += weight
                x += weight * count
                y += weight * seconds
                xx += weight * count * count
                xy += weight * count * seconds
            }
            let each = (w * xy - x * y) / (w * xx - x * x), fixed = (y - each * x) / w
            if fixed < 0 { return Line(fixed: 0, each: xy / xx) }
            if each < 0 { return Line(fixed: y / w, each: 0) }
            return Line(fixed: fixed, each: each)
        }

        /// The largest relative distance of a point from the line.
        public func worstDeviation(_ points: [(count: Double, seconds: Double)]) -> Double {
            points.map { abs(self($0.count) / $0.seconds - 1) }.max() ?? 0
        }
    }

    /// A network between nodes (L, o and B), or the memory of one (w and m).
    public struct Link: Encodable, Sendable, Equatable {
        public var latency: Double
        public var bytesPerSecond: Double
        /// Nil for memory, and where there was no second rank to measure it with.
        public var secondsOfMessage: Double?

        enum CodingKeys: String, CodingKey {
            case latency, bytesPerSecond = "bytes_per_second", secondsOfMessage = "seconds_of_message"
        }

        public init(latency: Double, bytesPerSecond: Double, secondsOfMessage: Double? = nil) {
            (self.latency, self.bytesPerSecond) = (latency, bytesPerSecond)
            self.secondsOfMessage = secondsOfMessage
        }
    }

    /// The gradient of a player in an update.
    public struct Gradient: Sendable {
        public let count: Int
        /// From where on it is final, and for how long when the update's backward passes end; from its end on.
        public let ready: [(start: Int, lead: Double)]

        /// How long all from `start` on has been final when the backward passes end.
        func lead(of start: Int) -> Double { ready.first { $0.start <= start }?.lead ?? 0 }
    }

    public var compute: Line
    /// Seconds of a step's updates where one rank moves all parameters.
    public var optimiser: Double
    /// What each update of a step sums.
    public var updates: [[Gradient]]
    /// The samples of a rank with which `updates` was measured.
    public var samplesMeasured: Int
    /// Bytes of one shard's statistics in a step.
    public var statistics: Int
    /// Bytes of a value between nodes.
    public var bytesOfValue = 4
    /// R.
    public var ranksOfNode: Int
    public var memory: Link?
    public var network: Link

    /// What takes the time of a step: c·n, a, the optimiser, what is within a node, L, and what of the wire's time is
    /// waited for.
    public enum Part: String, Encodable, Sendable, CaseIterable {
        case samples, fixed, optimizer, memory, latency, wire
    }

    /// One number of ranks.
    public struct Prediction: Encodable, Sendable {
        public let ranks: Int
        public let nodes: Int
        public let samplesOfRank: Int
        /// By the names of ``Part``.
        public let parts: [String: Double]
        public let secondsStep: Double
        /// Of messages that travel while the ranks compute.
        public let secondsHidden: Double
        /// 1 where the step takes what one rank's time promises.
        public let efficiency: Double
        /// The largest part of the step.
        public let limit: Part

        enum CodingKeys: String, CodingKey {
            case ranks, nodes, parts, efficiency, limit
            case samplesOfRank = "samples_of_rank", secondsStep = "seconds_step", secondsHidden = "seconds_hidden"
        }
    }

    /// The same minibatch on more ranks: efficiency is T(1) / (P · T(P)). Nil where there are more ranks than samples.
    public func strong(ranks: Int, batch: Int) -> Prediction? {
        guard batch >= ranks else { return nil }
        // The rank with most samples keeps the others waiting.
        return predict(
            ranks: ranks, samples: (batch + ranks - 1) / ranks, ideal: alone(samples: batch) / Double(ranks))
    }

    /// As many samples on every rank: efficiency is T(1) / T(P).
    public func weak(ranks: Int, samples: Int) -> Prediction {
        predict(ranks: ranks, samples: samples, ideal: alone(samples: samples))
    }

    private func alone(samples: Int) -> Double { compute(Double(samples)) + optimiser }

    private func predict(ranks: Int, samples: Int, ideal: Double) -> Prediction {
        let (parts, hidden) = parts(ranks: ranks, samples: samples)
        let step = Part.allCases.reduce(0) { $0 + parts[$1]! }
        return Prediction(
            ranks: ranks, nodes: nodes(ranks), samplesOfRank: samples,
            parts: Dictionary(uniqueKeysWithValues: parts.map { ($0.key.rawValue, $0.value) }), secondsStep: step,
            secondsHidden: hidden, efficiency: ideal / step, limit: Part.allCases.max { parts[$0]! < parts[$1]! }!)
    }

    private func nodes(_ ranks: Int) -> Int { (ranks + ranksOfNode - 1) / ranksOfNode }

    /// The parts of a step, and the time of messages beside the computing.
    func parts(ranks: Int, samples: Int) -> (times: [Part: Double], hidden: Double) {
        let here = Double(min(ranks, ranksOfNode)), others = Double(nodes(ranks) - 1)
        var times: [Part: Double] = [
            .samples: compute.each * Double(samples), .fixed: compute.fixed, .optimizer: optimiser / here,
            .memory: 0, .latency: 0, .wire: 0,
        ]
        var hidden = 0.0
        let longer = compute(Double(samples)) / compute(Double(samplesMeasured))
        for update in updates {
            let traffic = update.map { ExchangeTraffic(count: $0.count, ranks: ranks, ranksOfNode: ranksOfNode) }
            if here > 1, let memory {
                for (gradient, traffic) in zip(update, traffic) {
                    let passes = 1 + (2 * Double(traffic.partials) * others + 1) / Double(ranks)
                    times[.memory]! +=
                        here * memory.latency + passes * Double(4 * gradient.count) / memory.bytesPerSecond
                }
            }
            guard others > 0 else { continue }
            let pieces = zip(update, traffic).flatMap { gradient, traffic in
                traffic.pieces.map { piece in
                    // A single piece goes when all is computed.
                    let lead = traffic.pieces.count > 1 ? gradient.lead(of: piece.start) * longer : 0
                    return (seconds: wire(values: piece.values, messages: piece.messages), lead: lead)
                }
            }
            let (waited, all) = Self.waited(for: pieces)
            times[.latency]! += 2 * network.latency
            times[.wire]! += waited
            hidden += all - waited
        }
        if others > 0 {
            times[.latency]! += log2(Double(ranks)).rounded(.up) * network.latency
            times[.wire]! += (Double(ranks) - here) * Double(statistics) / network.bytesPerSecond
        }
        return (times, hidden)
    }

    private func wire(values: Int, messages: Int) -> Double {
        Double(bytesOfValue * values) / network.bytesPerSecond + Double(messages) * (network.secondsOfMessage ?? 0)
    }

    /// How long after the end of the computing the last of `pieces` has left, one after another, each not before its
    /// lead; and how long they take in all.
    static func waited(for pieces: [(seconds: Double, lead: Double)]) -> (waited: Double, all: Double) {
        let all = pieces.reduce(0) { $0 + $1.seconds }
        var left = all, waited = 0.0
        for piece in pieces {
            waited = max(waited, left - piece.lead)
            left -= piece.seconds
        }
        return (waited, all)
    }
}
