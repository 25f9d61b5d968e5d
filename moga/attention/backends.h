// The registry of attention backends: one line each, in the order in which "auto" tries them.
//
// Enumerator, name, help text and implementation of a backend all come from its line here. Adding a backend takes two
// edits: its source file, which defines a `const Backend` (backend.h), and a line in this table. The names are what
// config files and the command line accept.
#pragma once

#include <array>

#include "moga/core/choice.h"

// X(enumerator, name, help, object). What exactly a backend serves is said in its file.
#define MOGA_ATTENTION_BACKENDS(X)                              \
  X(kCpu, "cpu", "ATen's SDPA for each group", kCpuBackend)     \
  X(kSm90, "sm90", "our kernels for Hopper GPUs", kSm90Backend) \
  X(kFlash, "flash", "ATen's varlen FlashAttention on CUDA", kFlashBackend)

namespace moga {

#define MOGA_ENUMERATOR(value, name, help, object) value,
enum class AttentionBackend { kAuto, kReference, MOGA_ATTENTION_BACKENDS(MOGA_ENUMERATOR) };
#undef MOGA_ENUMERATOR

#define MOGA_CHOICE(value, name, help, object) Choice{AttentionBackend::value, name, help},
template <>
inline constexpr auto kChoices<AttentionBackend> = std::array{
    Choice{AttentionBackend::kAuto, "auto",
           "the first of those after reference that serves device, dtype and head size"},
    Choice{AttentionBackend::kReference, "reference", "plain operations on any device and dtype: the oracle, slow"},
    MOGA_ATTENTION_BACKENDS(MOGA_CHOICE)};
#undef MOGA_CHOICE

}  // namespace moga
