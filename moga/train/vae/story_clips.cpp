// A pool of stories and clips cut from it. See story_clips.h.
#include "moga/train/vae/story_clips.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "moga/core/check.h"
#include "moga/core/random.h"
#include "moga/data/limits.h"
#include "moga/data/story/render.h"

namespace moga {
namespace {

bool is_head(Part part) { return part == Part::hat || part == Part::hair || part == Part::face; }

// uint8 [persons, T, Y, X] of render_story → uint8 [T, 1, Y, X].
at::Tensor detail_of(const at::Tensor& parts) {
  at::Tensor detail = (parts > 0).any(0).to(at::kByte);
  for (int64_t part = 0; part < static_cast<int64_t>(Part::count); ++part)
    if (is_head(static_cast<Part>(part))) detail = detail + (parts == 1 + part).any(0).to(at::kByte);
  return detail.clamp_max(2).unsqueeze(1);
}

// uint8 [T, 4, Y, X]
at::Tensor with_detail(const DrawnStory& drawn) {
  const at::NoGradGuard no_grad;
  return at::cat({drawn.frames, detail_of(drawn.parts)}, 1);
}

}  // namespace

StoryClips::StoryClips(Source source, at::Device device)
    : source_(std::move(source)),
      ahead_([source = source_](
                 int64_t story) { return plan_story(random_key(source.seed, source.purpose, story), source.story); },
             device, /*with_parts=*/true) {
  check(source_.stories > 0, "a pool of ", source_.stories, " stories, expected at least 1");
  pool_.resize(source_.stories);
}

void StoryClips::advance(int64_t drawn) {
  check(drawn >= source_.stories, "a pool of ", source_.stories, " stories cannot be filled by ", drawn);
  for (int64_t story = std::max(drawn_, drawn - source_.stories); story < drawn; ++story)
    pool_[story % source_.stories] = with_detail(ahead_.get(story));
  drawn_ = std::max(drawn_, drawn);
}

Clips StoryClips::draw(const ClipShape& shape, at::Generator random) const {
  const auto below = [&](int64_t limit) { return at::randint(limit, {}, random, at::kLong).item<int64_t>(); };
  const StoryConfig& story = source_.story;
  std::vector<Cut> cuts;
  for (int64_t clip = 0; clip < shape.clips; ++clip)
    cuts.push_back({.story = below(source_.stories),
                    .frame = kLatentStride * below(1 + (story.frames - shape.frames) / kLatentStride),
                    .row = below(1 + story.height - shape.height),
                    .column = below(1 + story.width - shape.width)});
  return cut(cuts, shape);
}

Clips StoryClips::whole(int64_t first, int64_t clips, int64_t frames) const {
  std::vector<Cut> cuts;
  for (int64_t clip = 0; clip < clips; ++clip) cuts.push_back({(first + clip) % source_.stories, 0, 0, 0});
  return cut(cuts, {clips, frames, source_.story.height, source_.story.width});
}

Clips StoryClips::cut(const std::vector<Cut>& cuts, const ClipShape& shape) const {
  std::vector<at::Tensor> pieces;
  for (const Cut& cut : cuts)
    pieces.push_back(pool_[cut.story]
                         .narrow(0, cut.frame, shape.frames)
                         .narrow(2, cut.row, shape.height)
                         .narrow(3, cut.column, shape.width));
  const at::Tensor all = at::stack(pieces).transpose(1, 2);  // [B, 4, T, Y, X]
  return {.video = all.narrow(1, 0, 3).to(at::kFloat).mul_(2.0 / 255).sub_(1.0),
          .detail = all.narrow(1, 3, 1).to(at::kFloat)};
}

}  // namespace moga
