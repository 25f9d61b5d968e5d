// See lora_key.h.
#include "moga/model/adapter/lora_key.h"

#include <array>
#include <string_view>

#include "moga/core/check.h"

namespace moga {
namespace {

struct Suffix {
  std::string_view text;
  LoraMember member;
};
constexpr std::array kSuffixes = {
    Suffix{".lora_A.weight", LoraMember::kDown},    Suffix{".lora_A.default.weight", LoraMember::kDown},
    Suffix{".lora_down.weight", LoraMember::kDown}, Suffix{".lora.down.weight", LoraMember::kDown},
    Suffix{".lora_B.weight", LoraMember::kUp},      Suffix{".lora_B.default.weight", LoraMember::kUp},
    Suffix{".lora_up.weight", LoraMember::kUp},     Suffix{".lora.up.weight", LoraMember::kUp},
    Suffix{".lora_B.bias", LoraMember::kUpBias},    Suffix{".lora_B.default.bias", LoraMember::kUpBias},
    Suffix{".alpha", LoraMember::kAlpha},           Suffix{".diff", LoraMember::kWeightDiff},
    Suffix{".diff_b", LoraMember::kBiasDiff},
};

// Longer ones first.
constexpr std::string_view kSecondExpert = "transformer_2.";
constexpr std::array kPrefixes = {std::string_view("base_model.model."),
                                  std::string_view("model.diffusion_model."),
                                  std::string_view("diffusion_model."),
                                  std::string_view("transformer."),
                                  kSecondExpert,
                                  std::string_view("pipe.dit."),
                                  std::string_view("lora_unet__"),
                                  std::string_view("lora_unet_")};

struct Foreign {
  std::string_view part;
  const char* means;
};
constexpr std::array kForeign = {
    Foreign{"dora_scale", "DoRA"},
    Foreign{"lora_magnitude_vector", "DoRA"},
    Foreign{".hada_", "LoHa"},
    Foreign{".lokr_", "LoKr"},
    Foreign{".oft_", "OFT"},
    Foreign{".lora_mid", "a LoRA of convolutions with a middle matrix"},
    Foreign{".set_weight", "a patch that replaces weights"},
    Foreign{".reshape_weight", "a patch that reshapes weights"},
    Foreign{"lora_te", "a LoRA of a text encoder"},
    Foreign{"text_encoder.", "a LoRA of a text encoder"},
};

}  // namespace

std::optional<LoraKey> parse_lora_key(const std::string& name, const std::string& source) {
  for (const Foreign& foreign : kForeign)
    if (name.find(foreign.part) != std::string::npos)
      fail(source, ": ", name, ": ", foreign.means, " is not supported, expected a LoRA of the transformer");
  LoraKey key;
  std::string_view rest = name;
  bool found = false;
  for (const Suffix& suffix : kSuffixes) {
    if (found || !rest.ends_with(suffix.text)) continue;
    rest.remove_suffix(suffix.text.size());
    key.member = suffix.member;
    found = true;
  }
  if (!found) return std::nullopt;
  key.second_expert = rest.starts_with(kSecondExpert);
  key.target = without_lora_prefix(std::string(rest));
  return key.target.empty() ? std::nullopt : std::optional(key);
}

std::string without_lora_prefix(const std::string& name) {
  for (const std::string_view prefix : kPrefixes)
    if (name.starts_with(prefix)) return name.substr(prefix.size());
  return name;
}

}  // namespace moga
