/** What could move the cursor of whoever reads a text, or the order of its letters; a new line may stay. */
export const steersTerminals = /[^\n\P{Cc}]|\u202E/u
