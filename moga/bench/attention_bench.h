// `moga bench attention`: attend over groups of several kinds, and dense attention by cuDNN in the same run.
#pragma once

#include "moga/attention/static_groups.h"
#include "moga/bench/report.h"
#include "moga/core/choice.h"

namespace moga {

// kEqual, kUnequal and kRouted are written with a number of groups: "equal:5".
enum class BenchCase { kDense, kEqual, kUnequal, kRouted, kWindows, kFrames };
template <>
inline constexpr auto kChoices<BenchCase> = std::array{
    Choice{BenchCase::kDense, "dense", "one group"},
    Choice{BenchCase::kEqual, "equal", "groups of equal length; rows in group order"},
    Choice{BenchCase::kUnequal, "unequal", "lengths from 0.5 to 1.5 of the mean; rows in group order"},
    Choice{BenchCase::kRouted, "routed", "groups at random; rows are gathered and scattered"},
    Choice{BenchCase::kWindows, "windows", "windows with boundary keys"},
    Choice{BenchCase::kFrames, "frames", "every latent frame is a group"},
};

struct AttentionBenchConfig {
  VideoShape video;  // N tokens
  int64_t heads = 12, head_dim = 128;
  // Names of BenchCase, with ":M" for M groups where it has any.
  std::vector<std::string> cases = {"equal:5", "unequal:5", "equal:20", "routed:5", "windows", "frames"};
  WindowConfig windows;

  void validate() const;
};

// Two rows per case, forward and backward. FLOP: 4 · pairs · H · D forward, 10 · pairs · H · D backward. Ratio: FLOP/s
// divided by that of dense attention.
BenchReport bench_attention(const AttentionBenchConfig& config, const BenchSetup& setup);

// The grouping of one case; `name` as in AttentionBenchConfig::cases.
Grouping bench_grouping(const std::string& name, const AttentionBenchConfig& config, c10::Device device);

// Query-key pairs. Reads the offsets on the host.
double pairs_of(const Grouping& grouping);

}  // namespace moga
