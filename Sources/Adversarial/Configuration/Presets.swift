/// The experiments that the program knows by name, each a whole configuration as published; what deviates from the source
/// stands in it as a comment.
public struct Preset: Sendable {
    public let name: String
    /// One line for the list.
    public let summary: String
    public let yaml: String

    public static let standard = ring
    public static let all = [ring, goodfellowMNIST, dcgan32]

    /// Throws 78 with the nearest known name.
    public static func named(_ name: String) throws(Failure) -> Preset {
        if let preset = all.first(where: { $0.name == name }) { return preset }
        let known = all.map(\.name)
        let nearest = Spelling.nearest(to: name, among: known).map { "Did you mean '\($0)'? " } ?? ""
        throw Failure(.badConfiguration, "there is no preset '\(name)'", remedy: nearest + "Presets: \(known.joined(separator: ", ")).")
    }

    public func configuration() throws(Failure) -> Configuration {
        try Configuration(yaml: yaml, source: "preset \(name)")
    }

    static let ring = Preset(name: "ring", summary: "8 Gaussians on a circle, small tanh networks; needs no data", yaml: """
        # The ring of 8 Gaussians with the networks of the unrolled GAN's released notebook
        # (Metz et al. 2017, arXiv:1611.02163, appendix A): batch 512, orthogonal weights of gain 1.4, tanh, Adam.
        # Deviations: both rates 1e-3 (notebook: D 1e-4), since without unrolling the slow discriminator lets the
        # generator chase from mode to mode; fewer iterations (notebook: 25,000).
        name: ring
        seed: 1
        data: {synthetic: ring, count: 100000}
        latent: {size: 256, distribution: normal}
        generator:
          - dense: {units: 128, weights: {orthogonal: 1.4}}
          - tanh
          - dense: {units: 128, weights: {orthogonal: 1.4}}
          - tanh
          - dense: {units: 2, weights: {orthogonal: 1.4}}
        discriminator:
          - dense: {units: 128, weights: {orthogonal: 1.4}}
          - tanh
          - dense: {units: 128, weights: {orthogonal: 1.4}}
          - tanh
          - dense: {units: 1, weights: {orthogonal: 1.4}}
        objective: {generator: nonSaturating, discriminator: sum}
        optimizer:
          discriminator: {kind: adam, rate: 1.0e-3, beta1: 0.5, beta2: 0.999, epsilon: 1.0e-8}
          generator: {kind: adam, rate: 1.0e-3, beta1: 0.5, beta2: 0.999, epsilon: 1.0e-8}
        training: {batch: 512, discriminator_steps: 1, update: alternating, steps: 4000}
        output: {log_every: 100, sample_every: 500, checkpoint_every: 1000, keep: 3}

        """)

    static let goodfellowMNIST = Preset(name: "goodfellow-mnist", summary: "the original GAN's dense networks: ReLU generator, maxout discriminator", yaml: """
        # Goodfellow et al. 2014 (arXiv:1406.2661), MNIST, from the authors' released configuration
        # (pylearn2, repository goodfeli/adversarial). Both players step at once from one batch, as their code does.
        # The weights of the output layers start as those of their network (generator) and maxout layers (discriminator).
        # Deviations: no file is named, since MNIST is not shipped with Debian: give --data (Fashion-MNIST has its
        # shape). Published run: no stopping rule; 250 epochs of 50,000 images are 125,000 steps of 100.
        name: goodfellow-mnist
        seed: 1
        data: {fit: refuse}
        latent: {size: 100, distribution: uniform}
        generator:
          - dense: {units: 1200, weights: {uniform: 0.05}}
          - relu
          - dense: {units: 1200, weights: {uniform: 0.05}}
          - relu
          - dense: {units: 784, weights: {uniform: 0.05}, bias: marginals}
          - sigmoid
          - reshape: {shape: [28, 28, 1]}
        discriminator:
          - flatten
          - dropout: {keep: 0.8}
          - maxout: {units: 240, pieces: 5, weights: {uniform: 0.005}}
          - dropout: {keep: 0.5}
          - maxout: {units: 240, pieces: 5, weights: {uniform: 0.005}}
          - dropout: {keep: 0.5}
          - dense: {units: 1, weights: {uniform: 0.005}}
        objective: {generator: nonSaturating, discriminator: mean, label_smoothing: 0}
        optimizer:
          discriminator: {kind: sgd, rate: {initial: 0.1, decay: 1.000004, floor: 1.0e-6}, momentum: {from: 0.5, to: 0.7, epochs: 250}}
          generator: {kind: sgd, rate: {initial: 0.1, decay: 1.000004, floor: 1.0e-6}, momentum: {from: 0.5, to: 0.7, epochs: 250}}
        training: {batch: 100, discriminator_steps: 1, update: simultaneous, steps: 125000}
        output: {log_every: 50, sample_every: 1000, checkpoint_every: 1000, keep: 3}

        """)

    static let dcgan32 = Preset(name: "dcgan-32", summary: "DCGAN at 32×32: transposed convolutions, batch normalisation, Adam", yaml: """
        # DCGAN (Radford et al. 2016, arXiv:1511.06434) at 32×32 in its common TensorFlow layout: leaky ReLU in both
        # networks, sigmoid output, cross-entropy on logits, Adam 2e-4 with β₁ 0.5, weights N(0, 0.02²).
        # Smaller images are padded; for colour set the last layer's channels to 3.
        name: dcgan-32
        seed: 1
        data: {fit: pad}
        latent: {size: 100, distribution: normal}
        generator:
          - reshape: {shape: [1, 1, 100]}
          - transposed_convolution: {channels: 1024, kernel: 4, stride: 1, padding: valid, weights: {normal: 0.02}, bias: none}
          - batch_normalisation
          - leaky_relu: {slope: 0.2}
          - transposed_convolution: {channels: 512, kernel: 4, stride: 2, padding: same, weights: {normal: 0.02}, bias: none}
          - batch_normalisation
          - leaky_relu: {slope: 0.2}
          - transposed_convolution: {channels: 256, kernel: 4, stride: 2, padding: same, weights: {normal: 0.02}, bias: none}
          - batch_normalisation
          - leaky_relu: {slope: 0.2}
          - transposed_convolution: {channels: 1, kernel: 4, stride: 2, padding: same, weights: {normal: 0.02}}
          - sigmoid
        discriminator:
          - convolution: {channels: 128, kernel: 4, stride: 2, padding: same, weights: {normal: 0.02}}
          - leaky_relu: {slope: 0.2}
          - convolution: {channels: 256, kernel: 4, stride: 2, padding: same, weights: {normal: 0.02}, bias: none}
          - batch_normalisation
          - leaky_relu: {slope: 0.2}
          - convolution: {channels: 512, kernel: 4, stride: 2, padding: same, weights: {normal: 0.02}, bias: none}
          - batch_normalisation
          - leaky_relu: {slope: 0.2}
          - convolution: {channels: 1, kernel: 4, stride: 1, padding: valid, weights: {normal: 0.02}}
          - flatten
        objective: {generator: nonSaturating, discriminator: sum}
        optimizer:
          discriminator: {kind: adam, rate: 2.0e-4, beta1: 0.5, beta2: 0.999, epsilon: 1.0e-8}
          generator: {kind: adam, rate: 2.0e-4, beta1: 0.5, beta2: 0.999, epsilon: 1.0e-8}
        training: {batch: 64, discriminator_steps: 1, update: alternating, steps: 20000}
        output: {log_every: 10, sample_every: 250, checkpoint_every: 250, keep: 3}

        """)
}
