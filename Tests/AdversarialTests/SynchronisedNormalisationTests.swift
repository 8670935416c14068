import AllocationCount
import Collectives
import Kernels
import Nets
import Testing
@testable import Adversarial

/// Batch normalisation over the whole minibatch, by shards on the threads' ranks.
@Suite struct SynchronisedNormalisationTests {
    private static let batch = 11

    /// What one forward and backward over a minibatch come to, its rows in their order.
    private struct Pass {
        var output: [Float] = [], inputGradient: [Float] = [], gradient: [Float] = [], statistics: [Float] = []
        var all: [[Float]] { [output, inputGradient, gradient, statistics] }
        var bits: [[UInt32]] { all.map { $0.map(\.bitPattern) } }
    }

    private static func layers(_ normalisation: any Layer) -> [any Layer] {
        [
            Dense(units: 12), Reshape(to: .image(height: 2, width: 2, channels: 3)), normalisation, Tanh(),
            TransposedConvolution2D(channels: 5, kernel: 4, stride: 2), normalisation, LeakyReLU(slope: 0.2),
            Dropout(keepProbability: 0.7), Flatten(), Maxout(units: 4, pieces: 2), Dense(units: 1),
        ]
    }

    /// `offset` is added to every input: it moves the means away from zero and leaves the variances.
    private static func pass(_ layers: [any Layer], shards: Int, ranks: Int, offset: Float = 0) throws -> Pass {
        let parts = try ThreadCommunicator.run(size: ranks) { communicator in
            let table = try ShardTable(shards: shards, communicator: communicator)
            let group = ShardGroup.all(of: table, batch: batch, together: true)[0]
            let network = try Network(
                layers, input: .vector(6), capacity: table.mostRowsOfAShard(batch: batch), shards: group.shards.count,
                name: "n"
            ) {
                LayerSums(count: $0, table: table, communicator)
            }
            let store = network.store
            store.initialise(seed: 1, role: 0)
            let inputs = FloatBuffer(count: group.rows.count * 6),
                slopes = FloatBuffer(count: group.rows.count * network.outputShape.count)
            let draws = Draws(seed: 2, purpose: .synthetic, step: 0, firstSample: group.rows.lowerBound)
            draws.fillNormal(inputs.values, samples: group.rows.count)
            draws.fillNormal(slopes.values, samples: group.rows.count, layer: 1)
            for index in 0 ..< inputs.count { inputs.values[index] += offset }
            let classes = FloatBuffer(group.rows.map { Float($0 % 3) })
            let statistics = FloatBuffer(count: group.shards.count * store.statistics.count)
            let gradients = FloatBuffer(count: group.shards.count * store.count)
            let dropout = Draws(seed: 3, purpose: .dropoutReal, step: 0, firstSample: group.rows.lowerBound)

            var pass = Pass()
            let parts = group.generatedHalf
            try withExtendedLifetime((inputs, slopes, classes)) {
                pass.output = try network.forward(
                    Batch(inputs.values, count: group.rows.count, shape: .vector(6)),
                    parameters: network.store.values.values, mode: .training(dropout),
                    parts: parts, batchStatistics: statistics.values,
                    conditions: network.condition == nil ? .none : classes.values
                ).values.array
                let slope = Batch(slopes.values, count: group.rows.count, shape: network.outputShape)
                let frozen = try network.backward(
                    from: slope, parameters: network.store.values.values, into: nil, inputGradient: true)!.values.array
                pass.inputGradient = try network.backward(
                    from: slope, parameters: network.store.values.values, into: gradients.values, inputGradient: true)!
                    .values.array
                #expect(pass.inputGradient == frozen)
            }
            let sum = try GradientSum(count: max(store.count, 1), table: table, communicator: communicator)
            let sums = ShardSums(count: store.statistics.count, table: table, communicator: communicator)
            for (part, shard) in table.mine.enumerated() {
                sum.beginShard()
                sum.slot.copy(from: gradients.values[part * store.count ..< (part + 1) * store.count])
                sum.endShard()
                for index in 0 ..< store.statistics.count {
                    sums[shard: shard, index] = Double(statistics.values[part * store.statistics.count + index])
                }
            }
            pass.gradient = try sum.finish().array
            try sums.sum()
            for index in 0 ..< store.statistics.count { statistics.values[index] = Float(sums.totals[index]) }
            store.applyStatistics(statistics.values[0 ..< store.statistics.count], samples: batch)
            pass.statistics = store.statistics.values.array
            return pass
        }
        for part in parts { #expect(part.gradient == parts[0].gradient && part.statistics == parts[0].statistics) }
        return Pass(
            output: parts.flatMap(\.output), inputGradient: parts.flatMap(\.inputGradient),
            gradient: parts[0].gradient, statistics: parts[0].statistics)
    }

    /// The largest difference, as a part of the largest value; infinite where one is not a number.
    private func apart(_ first: Pass, _ second: Pass) -> Double {
        zip(first.all, second.all).reduce(0) {
            max($0, relativeDistance($1.0.map(Double.init), $1.1.map(Double.init)))
        }
    }

    /// Both kinds, over the whole minibatch and of a single batch.
    private static let kinds: [(synchronised: any Layer, single: any Layer)] = [
        (Synchronised(BatchNormalisation()), BatchNormalisation()),
        (
            Synchronised(ConditionalBatchNormalisation(of: .classes(3))), ConditionalBatchNormalisation(of: .classes(3))
        ),
    ]

    @Test(arguments: [4, 5, 7, 8, 11]) func sameBitsOnAnyNumberOfRanks(shards: Int) throws {
        for kind in Self.kinds {
            let layers = Self.layers(kind.synchronised)
            let alone = try Self.pass(layers, shards: shards, ranks: 1)
            for ranks in 2 ... 4 {
                #expect(
                    try Self.pass(layers, shards: shards, ranks: ranks).bits == alone.bits,
                    "\(shards) shards on \(ranks) ranks")
            }
        }
    }

    /// Shards are one batch: what the single batch's layer, which PyTorch's fixtures check, makes of all rows.
    @Test(arguments: [1, 2, 4, 11]) func shardsAgreeWithOneBatchToRounding(shards: Int) throws {
        for kind in Self.kinds {
            let single = Self.layers(kind.single), whole = try Self.pass(single, shards: 1, ranks: 1)
            #expect(apart(try Self.pass(Self.layers(kind.synchronised), shards: shards, ranks: 1), whole) < 5e-6)
            // By shard it is another function: the comparison can fail.
            if shards > 1 { #expect(apart(try Self.pass(single, shards: shards, ranks: 1), whole) > 1e-2) }
        }
    }

    /// Means of a thousand deviations cost no more digits than in a single batch.
    @Test func largeMeansKeepTheVariance() throws {
        let whole = try Self.pass([BatchNormalisation()], shards: 1, ranks: 1, offset: 1000)
        #expect(
            apart(try Self.pass([Synchronised(BatchNormalisation())], shards: 4, ranks: 2, offset: 1000), whole) < 5e-4)
    }

    /// Shards that go through the networks together give the bits that each gives alone, unless they are normalised
    /// together.
    @Test func shardsTogetherGiveTheBitsOfEachAlone() throws {
        for kind in Self.kinds {
            let layers = Self.layers(kind.single)
            let together = try Self.pass(layers, shards: 4, ranks: 1),
                apart = try Self.pass(layers, shards: 4, ranks: 4)
            #expect(together.bits == apart.bits)
        }
    }

    @Test func aSteadyStepAllocatesNothing() throws {
        let table = try ShardTable(shards: 3, ranks: 1, rank: 0)
        let group = ShardGroup.all(of: table, batch: Self.batch, together: true)[0]
        let network = try Network(
            [
                Synchronised(BatchNormalisation()), Tanh(), Dropout(keepProbability: 0.5),
                Synchronised(ConditionalBatchNormalisation(of: .classes(2))),
            ],
            input: .vector(6), capacity: 4, shards: 3, name: "n"
        ) { LayerSums(count: $0, table: table, SoloCommunicator()) }
        let classes = FloatBuffer(count: Self.batch)
        let input = FloatBuffer(count: Self.batch * 6), gradients = FloatBuffer(count: 3 * network.store.count)
        let examples = Batch(input.values, count: Self.batch, shape: .vector(6))
        func run(_ step: Int) throws {
            _ = try network.forward(
                examples, parameters: network.store.values.values,
                mode: .training(Draws(seed: 1, purpose: .dropoutReal, step: step)), parts: group.generatedHalf,
                conditions: classes.values)
            _ = try network.backward(
                from: examples, parameters: network.store.values.values, into: gradients.values, inputGradient: true)
        }
        for step in 0 ..< 3 { try run(step) }
        let before = allocationsOfThisThread()
        for step in 3 ..< 53 { try run(step) }
        #expect(allocationsOfThisThread() == before)
        withExtendedLifetime((input, gradients, classes)) {}
    }
}
