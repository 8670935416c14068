import Kernels
@testable import Nets
import Testing

@Suite struct SpectralTests {
    // MARK: - Against PyTorch and NumPy

    /// The layer's network with the fixture's weight, and u and v of the fixture.
    private func prepared(
        _ name: String, _ layer: any Layer, input: Shape
    ) throws -> (fixture: Fixture, network: Network, spectral: SpectralNormalisation) {
        let fixture = try Fixture(name, in: .optimisers)
        let network = lasting(try Network([layer], input: input, capacity: 1, name: name))
        let spectral = try #require(SpectralNormalisation(of: network.store, all: true, seed: 1, role: 0))
        #expect(try fixture.dimensions("weight") == network.store.entries[0].specification.dimensions)
        weight(network).copy(from: try fixture.floats("weight"))
        for vector in spectral.named { vector.values.copy(from: try fixture.floats(String(vector.name.suffix(1)))) }
        return (fixture, network, spectral)
    }

    private func weight(_ network: Network) -> Floats { network.store.values.values[network.store.entries[0].range] }

    private static let layers: [(String, any Layer, Shape)] = [
        ("spectral dense", Dense(units: 9, hasBias: false), .vector(13)),
        ("spectral dense to one", Dense(units: 1, hasBias: false), .vector(70)),
        ("spectral dense wide", Dense(units: 41, hasBias: false), .vector(90)),
        (
            "spectral convolution",
            Convolution2D(channels: 11, kernel: Extent(height: 3, width: 4), hasBias: false),
            .image(height: 4, width: 4, channels: 5)
        ),
        (
            "spectral transposed convolution",
            TransposedConvolution2D(channels: 7, kernel: Extent(height: 4, width: 2), hasBias: false),
            .image(height: 4, width: 4, channels: 12)
        ),
    ]

    /// u, v, σ, W / σ and the gradient of one pass in training.
    @Test(arguments: layers) func aRefreshAndItsGradientArePyTorchs(name: String, layer: any Layer, input: Shape) throws
    {
        let (fixture, network, spectral) = try prepared(name, layer, input: input)
        let values = network.store.values.values, range = network.store.entries[0].range
        let effective = lasting(values.array.map { _ in .nan }), gradient = lasting(values.array.map { _ in 0 })
        spectral.refresh(values, into: effective)
        for vector in spectral.named {
            expectClose(
                vector.values, try fixture.values("after.\(vector.name.suffix(1))"), tolerance: 2e-6, vector.name)
        }
        let sigma = Double(try fixture.values("sigma")[0])
        #expect(abs(spectral.sigmas[0].sigma / sigma - 1) < 1e-6)
        expectClose(effective[range], try fixture.values("effective"), tolerance: 2e-6, "\(name): W / σ")
        #expect(weight(network).array == (try fixture.values("weight")), "\(name): W was changed")

        gradient[range].copy(from: try fixture.floats("gradient"))
        let target = lasting(values.array.map { _ in .nan })
        spectral.pullBack(gradient, effective: effective, into: target)
        expectClose(target[range], try fixture.values("weightGradient"), tolerance: 2e-6, "\(name): gradient")
        spectral.pullBack(gradient, effective: effective, into: gradient)
        #expect(gradient.array == target.array, "\(name): in place")
    }

    @Test(arguments: layers) func manyIterationsFindTheLargestSingularValue(
        name: String, layer: any Layer, input: Shape
    ) throws {
        let (fixture, network, spectral) = try prepared(name, layer, input: input)
        let effective = lasting(network.store.values.values.array)
        for _ in 0 ..< 1000 { spectral.refresh(network.store.values.values, into: effective) }
        let largest = Double(try fixture.values("largest")[0])
        #expect(abs(spectral.sigmas[0].sigma / largest - 1) < 1e-6)
    }

    // MARK: - Against the definition

    /// W[o, r] of a flat weight, o the output and r the rest in the order of memory.
    private func place(_ layout: String, _ dimensions: [Int], _ o: Int, _ r: Int) -> Int {
        let inputs = dimensions.last!, outputs = dimensions[dimensions.count - 2]
        return layout == "HWOI" ? (r / inputs * outputs + o) * inputs + r % inputs : r * dimensions.last! + o
    }

    /// All layouts in one network: weights with biases between, one of them not normalised.
    private func network() throws -> Network {
        lasting(
            try Network(
                [
                    Dense(units: 4 * 4 * 9, isSpectral: true), Reshape(to: .image(height: 4, width: 4, channels: 9)),
                    TransposedConvolution2D(channels: 70, kernel: 4, stride: 2, isSpectral: true),
                    BatchNormalisation(), Convolution2D(channels: 33, kernel: 3, isSpectral: true), Flatten(),
                    Dense(units: 5), Maxout(units: 3, pieces: 5, isSpectral: true),
                ], input: .vector(1100), capacity: 1, name: "n"))
    }

    /// One iteration in double from the drawn u; then the same bits without one, and the parameters that have no norm.
    @Test func oneIterationIsTheDefinitions() throws {
        let network = try network(), store = network.store, values = store.values.values
        store.initialise(seed: 5, role: 1)
        let spectral = try #require(SpectralNormalisation(of: store, all: false, seed: 5, role: 1))
        let spectralEntries = store.entries.filter(\.specification.isSpectral)
        #expect(spectralEntries.count == 4)
        #expect(spectral.named.map(\.name) == spectralEntries.flatMap { ["\($0.name)/u", "\($0.name)/v"] })
        let before = spectral.named.map(\.values.array)
        for vector in before { #expect(abs(vector.reduce(0) { $0 + Double($1) * Double($1) } - 1) < 1e-6) }
        let effective = lasting(values.array.map { _ in .nan }), again = lasting(effective.array)
        spectral.refresh(values, into: effective)
        let sigmas = spectral.sigmas.map(\.sigma)
        for (number, entry) in spectralEntries.enumerated() {
            let (layout, sizes) = (entry.specification.layout, entry.specification.dimensions)
            let w = values[entry.range].array.map(Double.init)
            let outputs = spectral.named[2 * number].dimensions[0], rest = w.count / outputs
            func unit(_ vector: [Double]) -> [Double] {
                let length = vector.reduce(0) { $0 + $1 * $1 }.squareRoot()
                return vector.map { $0 / length }
            }
            let u = before[2 * number].map(Double.init)
            let v = unit(
                (0 ..< rest).map { r in
                    (0 ..< outputs).reduce(0) { $0 + w[place(layout, sizes, $1, r)] * u[$1] }
                })
            let product = (0 ..< outputs).map { o in
                (0 ..< rest).reduce(0) { $0 + w[place(layout, sizes, o, $1)] * v[$1] }
            }
            let sigma = product.reduce(0) { $0 + $1 * $1 }.squareRoot()
            expectClose(spectral.named[2 * number].values, unit(product).map { Float($0) }, tolerance: 1e-6, "u")
            expectClose(spectral.named[2 * number + 1].values, v.map { Float($0) }, tolerance: 1e-6, "v")
            #expect(abs(sigmas[number] / sigma - 1) < 1e-6, "\(entry.name)")
            expectClose(effective[entry.range], w.map { Float($0 / sigma) }, tolerance: 1e-6, entry.name)
        }
        for entry in store.entries where !entry.specification.isSpectral {
            #expect(effective[entry.range].array == values[entry.range].array, "\(entry.name)")
        }
        spectral.normalise(values, into: again)
        #expect(again.array == effective.array && spectral.sigmas.map(\.sigma) == sigmas)

        // Another run of the same seed has the same bits; another role has not.
        let twin = try #require(SpectralNormalisation(of: store, all: false, seed: 5, role: 1))
        #expect(twin.named.map(\.values.array) == before)
        let other = try #require(SpectralNormalisation(of: store, all: false, seed: 5, role: 0))
        #expect(other.named.map(\.values.array) != before)
        #expect(SpectralNormalisation(of: store, all: true, seed: 5, role: 1)!.sigmas.count == 5)
    }

    /// d/dW ⟨g, W / σ(W)⟩ at fixed u and v along a random direction, by central differences.
    @Test func thePullbackIsTheDerivative() throws {
        let network = try network(), store = network.store, values = store.values.values
        store.initialise(seed: 6, role: 0)
        let spectral = try #require(SpectralNormalisation(of: store, all: true, seed: 6, role: 0))
        func drawn(_ step: Int) -> Floats {
            let flat = lasting(values.array.map { _ in 0 })
            for (number, entry) in store.entries.enumerated() {
                Draws(seed: 8, purpose: .evaluation, step: step, inner: number)
                    .fillNormal(flat[entry.range], samples: 1)
            }
            return flat
        }
        let gradient = drawn(0), direction = drawn(1), start = values.array
        let effective = lasting(start), target = lasting(start)
        spectral.refresh(values, into: effective)
        spectral.pullBack(gradient, effective: effective, into: target)
        for entry in store.entries {
            func cost(_ h: Float) -> Double {
                for index in entry.range { values[index] = start[index] + h * direction[index] }
                spectral.normalise(values, into: effective)
                return entry.range.reduce(0) { $0 + Double(gradient[$1]) * Double(effective[$1]) }
            }
            let h: Float = 1.0 / 1024
            let difference = (cost(h) - cost(-h)) / Double(2 * h)
            _ = cost(0)
            let derivative = entry.range.reduce(0) { $0 + Double(target[$1]) * Double(direction[$1]) }
            // A sum of products of random signs: what counts is its size without cancellation.
            let scale = entry.range.reduce(0) {
                let term = Double(target[$1]) * Double(direction[$1])
                return $0 + term * term
            }.squareRoot()
            #expect(abs(difference - derivative) < 1e-3 * scale, "\(entry.name): \(difference), \(derivative)")
        }
    }

    /// Of zeros nothing is made but zeros, their gradient passes, and u and v remain what they were.
    @Test func aWeightOfZerosIsLeftAsItIs() throws {
        let network = try network(), values = network.store.values.values
        let spectral = try #require(SpectralNormalisation(of: network.store, all: true, seed: 1, role: 0))
        let vectors = spectral.named.map { $0.values.array }
        let effective = lasting(values.array.map { _ in .nan }), gradient = lasting(values.array.map { _ in 0.5 })
        spectral.refresh(values, into: effective)
        #expect(effective.array == values.array && spectral.sigmas.allSatisfy { $0.sigma == 0 })
        #expect(spectral.named.map { $0.values.array } == vectors)
        let target = lasting(values.array)
        spectral.pullBack(gradient, effective: effective, into: target)
        #expect(target.array == gradient.array)
    }

    @Test func aNetworkWithoutSuchWeightsHasNone() throws {
        let network = try Network([Dense(units: 3), ReLU()], input: .vector(2), capacity: 1, name: "n")
        #expect(SpectralNormalisation(of: network.store, all: false, seed: 1, role: 0) == nil)
    }
}
