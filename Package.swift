// swift-tools-version: 6.1
import PackageDescription

let package = Package(
    name: "gan-dist",
    products: [
        .executable(name: "gan-dist", targets: ["gan-dist"]),
        .library(
            name: "GANDist",
            targets: [
                "Support", "Kernels", "Nets", "Collectives", "Storage", "Adversarial", "Autoencoders", "Mixtures",
            ]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
        .package(url: "https://github.com/jpsim/Yams", exact: "6.2.2"),
    ],
    targets: [
        .systemLibrary(name: "CMPI", path: "CMPI", pkgConfig: "ompi-c", providers: [.apt(["libopenmpi-dev"])]),
        .systemLibrary(name: "COpenBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-dev"])]),
        .systemLibrary(name: "CHDF5", pkgConfig: "hdf5", providers: [.apt(["libhdf5-dev"])]),
        .systemLibrary(name: "CPNG", pkgConfig: "libpng", providers: [.apt(["libpng-dev"])]),
        .systemLibrary(name: "CJPEG", pkgConfig: "libjpeg", providers: [.apt(["libjpeg-dev"])]),
        .systemLibrary(name: "CWebP", pkgConfig: "libwebpdemux", providers: [.apt(["libwebp-dev"])]),
        .systemLibrary(name: "CTIFF", pkgConfig: "libtiff-4", providers: [.apt(["libtiff-dev"])]),
        .systemLibrary(name: "CGIF", pkgConfig: "libgif", providers: [.apt(["libgif-dev"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .systemLibrary(name: "CZip", pkgConfig: "libzip", providers: [.apt(["libzip-dev"])]),
        .systemLibrary(name: "CCrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),

        .systemLibrary(name: "CLinux"),
        .target(name: "Support", dependencies: ["CLinux"]),
        .target(name: "CKernels"),
        .target(name: "Kernels", dependencies: ["CKernels", "COpenBLAS"]),
        .target(name: "Nets", dependencies: ["Kernels", "Support"]),
        .target(name: "Collectives", dependencies: ["CKernels", "CMPI", "CLinux", "Kernels", "Support"]),
        .target(name: "CCrash"),
        .target(name: "CChild"),
        .target(name: "CStart"),
        .target(name: "CPictures", dependencies: ["CPNG", "CJPEG", "CWebP", "CTIFF"]),
        .target(
            name: "Storage",
            dependencies: [
                "CChild", "CCrash", "CHDF5", "CPictures", "CPNG", "CGIF", "CZlib", "CZip", "CCrypto", "Kernels",
                "Support",
            ]),
        .target(name: "Adversarial", dependencies: ["Nets", "Collectives", "Kernels", "Support"]),
        .target(name: "Autoencoders", dependencies: ["Adversarial", "Nets", "Collectives", "Kernels", "Support"]),
        .target(name: "Mixtures", dependencies: ["Collectives", "Kernels", "Support"]),
        .target(
            name: "Recipes",
            dependencies: [
                "Adversarial", "Autoencoders", "Mixtures", "Collectives", "Nets", "Storage", "Support", "Yams",
            ],
            resources: [.embedInCode("Presets")]),
        .target(
            name: "Runs",
            dependencies: [
                "CLinux", "CStart", "Recipes", "Adversarial", "Autoencoders", "Mixtures", "Nets", "Collectives",
                "Storage", "Kernels", "Support",
            ]),
        .target(
            name: "Benchmarks",
            dependencies: ["Runs", "Recipes", "Adversarial", "Nets", "Collectives", "Storage", "Kernels", "Support"]),
        .target(name: "Export", dependencies: ["Runs", "Recipes", "Nets", "Kernels", "Storage", "Support"]),
        .target(
            name: "Report", dependencies: ["Runs", "Recipes", "Storage", "Support"],
            resources: [.embedInCode("page.css")]),
        .target(
            name: "Evaluation",
            dependencies: [
                "Runs", "Recipes", "Adversarial", "Autoencoders", "Mixtures", "Nets", "Collectives", "Storage",
                "Kernels",
                "Support",
            ]),
        .executableTarget(
            name: "gan-dist",
            dependencies: [
                "CStart", "Benchmarks", "Evaluation", "Report", "Export", "Runs", "Recipes", "Adversarial",
                "Collectives", "Kernels", "Storage", "Support",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ]),
        .executableTarget(
            name: "example-least-squares",
            dependencies: ["Adversarial", "Collectives", "Kernels", "Nets", "Storage", "Support"],
            exclude: ["README.md"]),
        .executableTarget(
            name: "mpi-tests", dependencies: ["Runs", "Collectives", "Kernels", "Support"], path: "Tests/mpi",
            exclude: ["run"]),

        .testTarget(name: "KernelsTests", dependencies: ["CKernels", "Kernels"]),
        .target(name: "AllocationCount", path: "Tests/AllocationCount"),
        .testTarget(name: "NetsTests", dependencies: ["Nets", "AllocationCount"], resources: [.copy("Fixtures")]),
        .testTarget(name: "CollectivesTests", dependencies: ["Collectives"]),
        .testTarget(name: "StorageTests", dependencies: ["Storage"], resources: [.copy("Fixtures")]),
        .testTarget(name: "AdversarialTests", dependencies: ["Adversarial", "AllocationCount"]),
        .testTarget(name: "AutoencodersTests", dependencies: ["Autoencoders", "AllocationCount"]),
        .testTarget(name: "MixturesTests", dependencies: ["Mixtures", "Collectives"], resources: [.copy("Fixtures")]),
        .testTarget(name: "RecipesTests", dependencies: ["Recipes"]),
        .testTarget(name: "RunsTests", dependencies: ["Runs"]),
        .testTarget(name: "BenchmarksTests", dependencies: ["Benchmarks"]),
        .testTarget(name: "EvaluationTests", dependencies: ["Evaluation"], resources: [.copy("Fixtures")]),
    ]
)
