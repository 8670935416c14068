import Nets
import Storage
import Support

/// The experiments that the program knows by name, each a whole configuration as published (`Presets/NAME.yaml`,
/// compiled in); what deviates from the source stands in it as a comment.
public struct Preset: Sendable {
    public let name: String
    /// One line for the list.
    public let summary: String
    public let yaml: String

    private init(_ name: String, _ yaml: [UInt8], _ summary: String) {
        self.name = name
        self.summary = summary
        self.yaml = String(decoding: yaml, as: UTF8.self)
    }

    public static let standard = all[0]

    public static let all = [
        Preset("ring", PackageResources.ring_yaml, "8 Gaussians on a circle, small tanh networks; needs no data"),
        Preset(
            "goodfellow-mnist", PackageResources.goodfellow_mnist_yaml,
            "the original GAN's dense networks: ReLU generator, maxout discriminator"),
        Preset(
            "goodfellow-cifar10-dense", PackageResources.goodfellow_cifar10_dense_yaml,
            "the original GAN's dense networks for CIFAR-10, 89 million values in the generator"),
        Preset(
            "goodfellow-cifar10-conv", PackageResources.goodfellow_cifar10_conv_yaml,
            "the original GAN's convolutional networks for CIFAR-10"),
        Preset(
            "dcgan-32", PackageResources.dcgan_32_yaml,
            "DCGAN at 32×32: transposed convolutions, batch normalisation, Adam"),
        Preset("dcgan-32-colour", PackageResources.dcgan_32_colour_yaml, "the same for images of 3 channels"),
        Preset("fluxgan-mnist", PackageResources.fluxgan_mnist_yaml, "FluxGAN.jl's dense networks, optimistic Adam"),
        Preset(
            "fluxgan-cifar10-dense", PackageResources.fluxgan_cifar10_dense_yaml,
            "FluxGAN.jl's dense networks for CIFAR-10's animals"),
        Preset(
            "fluxgan-cifar10-conv", PackageResources.fluxgan_cifar10_conv_yaml,
            "FluxGAN.jl's convolutional networks for CIFAR-10's animals"),
        Preset(
            "pacgan-ring", PackageResources.pacgan_ring_yaml,
            "PacGAN's ring of 8 Gaussians, packs of 2; needs no data"),
        Preset(
            "pacgan-grid", PackageResources.pacgan_grid_yaml, "PacGAN's grid of 25 Gaussians, packs of 2; needs no data"
        ),
        Preset(
            "unrolled-ring", PackageResources.unrolled_ring_yaml,
            "the unrolled GAN's notebook: G through 5 steps of D; needs no data"),
        Preset(
            "gaussian1d", PackageResources.gaussian1d_yaml,
            "one Gaussian on the line, as in Figure 1 of the original paper; needs no data"),
        Preset(
            "dirac", PackageResources.dirac_yaml,
            "the Dirac-GAN: one value against one weight, with R1; needs no data"),
        Preset(
            "grid-25", PackageResources.grid_25_yaml,
            "25 Gaussians by relativistic pairing with R1 and R2, as in R3GAN; needs no data"),
        Preset(
            "wgan-gp-grid", PackageResources.wgan_gp_grid_yaml,
            "WGAN-GP on its grid of 25 Gaussians; needs no data"),
        Preset(
            "wgan-clip", PackageResources.wgan_clip_yaml,
            "the Wasserstein GAN with clipped weights on 8 Gaussians; needs no data"),
        Preset("lsgan", PackageResources.lsgan_yaml, "least squares on the ring of 8 Gaussians; needs no data"),
        Preset(
            "hinge-sn", PackageResources.hinge_sn_yaml,
            "spectral normalisation and the hinge cost at 32×32, convolutional"),
        Preset("dragan", PackageResources.dragan_yaml, "DRAGAN's small dense networks for MNIST"),
        Preset(
            "r1", PackageResources.r1_yaml, "R1, RMSprop and an average of the generator at 32×32, convolutional"),
        Preset(
            "r3gan-28", PackageResources.r3gan_28_yaml,
            "R3GAN's residual blocks at 28×28, narrow enough for two cores"),
        Preset("r3gan-cifar10", PackageResources.r3gan_cifar10_yaml, "R3GAN for CIFAR-10, whole: for a cluster"),
        Preset(
            "sngan-32", PackageResources.sngan_32_yaml,
            "SNGAN's standard convolutional networks for CIFAR-10"),
        Preset(
            "sngan-resnet-32", PackageResources.sngan_resnet_32_yaml, "SNGAN's residual networks for CIFAR-10"),
        Preset("sagan-32", PackageResources.sagan_32_yaml, "self-attention in residual networks at 32×32"),
        Preset(
            "stacked-fashion", PackageResources.stacked_fashion_yaml,
            "three pictures as the channels of one, a thousand modes"),
        Preset(
            "conditional-28", PackageResources.conditional_28_yaml,
            "10 classes at 28×28: projection, and a scale and a shift a class, relativistic pairs"),
        Preset(
            "mixture-em", PackageResources.mixture_em_yaml,
            "no GAN: a mixture of Gaussians by expectation–maximisation, on principal components"),
        Preset("vae", PackageResources.vae_yaml, "no GAN: a variational autoencoder at 28×28"),
        Preset(
            "autoencoder", PackageResources.autoencoder_yaml,
            "no GAN: an autoencoder at 28×28, whose decoder is then a generator"),
        Preset(
            "adversarial-autoencoder", PackageResources.adversarial_autoencoder_yaml,
            "an autoencoder at 28×28 with a discriminator that holds its codes to the latents' distribution"),
        Preset(
            "bigan", PackageResources.bigan_yaml,
            "a GAN at 28×28 with an encoder that inverts the generator: D judges pairs"),
        Preset(
            "discriminator-only", PackageResources.discriminator_only_yaml,
            "no generator: a discriminator against what ascent on it finds; needs no data"),
    ]

    /// Throws 78 with the nearest known name.
    public static func named(_ name: String) throws(Failure) -> Preset {
        if let preset = all.first(where: { $0.name == name }) { return preset }
        let known = all.map(\.name)
        let nearest = Spelling.suggestion(for: name, among: known)
        throw Failure(
            .badConfiguration, "there is no preset '\(name)'",
            remedy: nearest + "Presets: \(known.joined(separator: ", ")).")
    }

    /// Throws 78 where the preset is of another model than a GAN.
    public func configuration() throws(Failure) -> Configuration {
        try Configuration(yaml: yaml, source: "preset \(name)")
    }
}
