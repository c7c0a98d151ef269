// Sets of classes that contain the truth as often as the model was calibrated for.

/** The classes in the prediction set, the most probable first, as medzoo.ConformalSpec says. */
export function predictionSet(ranked, { conformal, classes, multi_label: multiLabel }) {
  if (!conformal) return undefined;
  const { method, thresholds } = conformal;
  let before = 0;
  const members = ranked.filter(({ label, probability }, rank) => {
    const threshold = thresholds.length > 1 ? thresholds[classes.indexOf(label)] : thresholds[0];
    const within = method === "lac" ? probability >= threshold : before <= threshold;
    before += probability;
    return within || (rank === 0 && !multiLabel);
  });
  return members.map(({ label }) => label);
}
