// Joint attention of text and video (docs/design.md, section 2): one softmax over the text tokens of a shot and its
// video tokens, for queries of both.
//
//   shot    every token of a shot, text or video, sees all of them
//   frame   a video token sees its own latent frame and the shot's text; a text token sees the whole shot
//
// Both are one Grouping over the joint rows: for each shot its video tokens, then its text tokens. In that order the
// queries of a group are neighbours, so nothing is gathered for them; with scope `shot` the keys are, too.
#pragma once

#include <vector>

#include "moga/attention/grouping.h"
#include "moga/core/choice.h"

namespace moga {

enum class JointScope { kShot, kFrame };
template <>
inline constexpr auto kChoices<JointScope> = std::array{
    Choice{JointScope::kShot, "shot", "one softmax over all video and text tokens of the shot"},
    Choice{JointScope::kFrame, "frame", "video tokens see their own frame and the shot's text, text tokens the shot"},
};

struct JointGroups {
  std::vector<int64_t> video_rows, text_rows;  // of each shot of all videos
  Grouping both;                               // queries and keys are joint rows
  Grouping video;                              // queries are the video tokens in their own order, keys joint rows
};

// `text_lengths`: text tokens of each shot, layout.shots() in all, at least 1 each.
JointGroups joint_groups(const Layout& layout, const std::vector<int64_t>& text_lengths, JointScope scope,
                         c10::Device device);

// Rows [n, …] of the video tokens of all shots, and of their text tokens.
struct VideoAndText {
  at::Tensor video, text;
};
at::Tensor join_rows(const VideoAndText& rows, const JointGroups& groups);
VideoAndText part_rows(const at::Tensor& joint, const JointGroups& groups);

// Query-key pairs: of video queries, and of text queries.
struct JointPairs {
  double video = 0, text = 0;
};
JointPairs count_joint_pairs(const Layout& layout, int64_t text_tokens, JointScope scope);

}  // namespace moga
