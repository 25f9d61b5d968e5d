// See film_tags.h.
#include "moga/pipeline/film_tags.h"

#include "moga/core/check.h"
#include "moga/core/config.h"
#include "moga/data/video/image.h"
#include "moga/data/video/video.h"

namespace moga {

MediaTags film_tags(const Script& script, const std::string& model, const std::string& tool) {
  return {script.title, "# " + tool + ", model " + model + "\n" + to_toml(script), tool};
}

std::optional<Script> script_in(const MediaTags& tags) {
  if (!tags.comment.starts_with("# moga ")) return std::nullopt;
  try {
    return parse_toml<Script>(tags.comment, "the comment");
  } catch (const Error&) {
    return std::nullopt;
  }
}

std::string script_of_film(const std::filesystem::path& path) {
  const MediaTags tags = path.extension() == ".png" ? png_info(path).tags : open_video(path)->info().tags;
  check(script_in(tags).has_value(), path.string(), ": holds no script; only films of moga generate do (.mp4, .png)");
  return tags.comment;
}

}  // namespace moga
