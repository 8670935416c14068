// swift-tools-version: 6.1
import PackageDescription

let package = Package(
    name: "gan-dist",
    products: [.executable(name: "gan-dist", targets: ["gan-dist"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
        .package(url: "https://github.com/jpsim/Yams", exact: "6.2.2"),
    ],
    targets: [
        .systemLibrary(name: "CMPI", path: "CMPI", pkgConfig: "ompi-c", providers: [.apt(["libopenmpi-dev"])]),
        .systemLibrary(name: "COpenBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-dev"])]),
        .systemLibrary(name: "CVector"),
        .systemLibrary(name: "CHDF5", pkgConfig: "hdf5", providers: [.apt(["libhdf5-dev"])]),
        .systemLibrary(name: "CPNG", pkgConfig: "libpng", providers: [.apt(["libpng-dev"])]),
        .systemLibrary(name: "CJPEG", pkgConfig: "libjpeg", providers: [.apt(["libjpeg-dev"])]),
        .systemLibrary(name: "CWebP", pkgConfig: "libwebpdemux", providers: [.apt(["libwebp-dev"])]),
        .systemLibrary(name: "CTIFF", pkgConfig: "libtiff-4", providers: [.apt(["libtiff-dev"])]),
        .systemLibrary(name: "CGIF", pkgConfig: "libgif", providers: [.apt(["libgif-dev"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .systemLibrary(name: "CZip", pkgConfig: "libzip", providers: [.apt(["libzip-dev"])]),
        .systemLibrary(name: "CCrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),

        .target(name: "Kernels", dependencies: ["COpenBLAS", "CVector"]),
        .target(name: "Nets", dependencies: ["Kernels"]),
        .systemLibrary(name: "CLinux"),
        .target(name: "Collectives", dependencies: ["CMPI", "CLinux", "Kernels"]),
        .target(name: "CCrash"),
        .target(name: "CChild"),
        .target(name: "CStart"),
        .target(name: "CPictures", dependencies: ["CPNG", "CJPEG", "CWebP", "CTIFF"]),
        .target(
            name: "Storage",
            dependencies: [
                "CChild", "CCrash", "CHDF5", "CPictures", "CPNG", "CGIF", "CZlib", "CZip", "CCrypto", "Kernels",
            ]),
        .target(
            name: "Adversarial", dependencies: ["CLinux", "CStart", "Nets", "Collectives", "Storage", "Yams"],
            resources: [.embedInCode("Presets")]),
        .target(name: "Export", dependencies: ["Adversarial", "Nets", "Kernels", "Storage"]),
        .target(name: "Report", dependencies: ["Adversarial", "Storage"], resources: [.embedInCode("page.css")]),
        .target(name: "Evaluation", dependencies: ["Adversarial"]),
        .executableTarget(
            name: "gan-dist",
            dependencies: [
                "CStart", "Adversarial", "Evaluation", "Report", "Export", "Storage",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ]),
        .executableTarget(
            name: "mpi-tests", dependencies: ["Adversarial", "Collectives"], path: "Tests/mpi", exclude: ["run"]),

        .testTarget(name: "KernelsTests", dependencies: ["Kernels"]),
        .target(name: "AllocationCount", path: "Tests/AllocationCount"),
        .testTarget(name: "NetsTests", dependencies: ["Nets", "AllocationCount"], resources: [.copy("Fixtures")]),
        .testTarget(name: "CollectivesTests", dependencies: ["Collectives"]),
        .testTarget(name: "StorageTests", dependencies: ["Storage"], resources: [.copy("Fixtures")]),
        .testTarget(name: "AdversarialTests", dependencies: ["Adversarial", "AllocationCount"]),
        .testTarget(name: "EvaluationTests", dependencies: ["Evaluation"], resources: [.copy("Fixtures")]),
    ]
)
