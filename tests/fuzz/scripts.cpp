// Shot scripts.
#include <toml++/toml.h>

#include <sstream>

#include "moga/core/config.h"
#include "moga/data/script.h"
#include "tests/fuzz/agree.h"
#include "tests/fuzz/target.h"

namespace moga::test {
namespace {

constexpr const char* kScript = R"(title = "Mara by the lake"
size = [224, 128]
fps = 16
seed = 7
negative_prompt = "blurred"
noise_from = "diffusers"
global_caption = "A quiet film."
set = ["sampler.steps=20", "transformer.moga.kind=full"]
[[shot]]
caption = "A wide shot by the lake, by day: Mara waves."
duration = 2.5
[[shot]]
caption = "Close-up: Mara looks around."
frames = 32
)";
constexpr const char* kShort = R"(shot = [{caption = 'Jon', frames = 5}, {caption = """A "quoted"
line.""", duration = 1}]
negative = "wan"
)";

std::string mutate(const std::string& original, Random& random) { return mutate_text(original, random); }

void read_script(const std::filesystem::path& path, const std::string& bytes) {
  const Script script = load_script(path);
  std::ostringstream text;
  text << toml::json_formatter{toml::parse(bytes)};
  check_agrees(nlohmann::json::parse(text.str()), nlohmann::json::parse(to_json(script)));
  for (const int64_t frames : script.latent_shot_frames(kWanPixelsPerToken))
    if (frames < 1) throw Wrong("a shot without a frame");
}

}  // namespace

std::vector<Target> script_targets() { return {{"scripts", "film.toml", {kScript, kShort}, mutate, read_script}}; }

}  // namespace moga::test
